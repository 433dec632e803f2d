"""Holds attune's run to the peer's, both made by smollm2.sh: the loss of every step, and the loss of held rows. Prints a
Markdown table and exits with 1 if something is further away than allowed.

usage: python scripts/smollm2_compare.py OUT_DIR
"""
import json, math, pathlib, sys

# Furthest relative difference allowed. Steps: float32 agrees to four digits; bfloat16 rounds activations, 8 bits each.
STEP = {"float32": 1e-4, "bfloat16": 5e-3}
HELD = {"float32": 2e-3, "bfloat16": 5e-3}
# Computing in bfloat16 moves a token's loss by about 0.05 either way (PyTorch's own forward of SmolLM2 over 1155 held tokens:
# standard deviation 0.049, mean 0.001), so a mean over n tokens by 0.05/sqrt(n). Four times that where a few tokens are compared.
ROUNDING = {"float32": 0.0, "bfloat16": 4 * 0.05}

out, failed = pathlib.Path(sys.argv[1]), []


def lines(name):
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def check(what, dtype, got, want, allowed, computed_in, tokens):
    """computed_in: the dtype of the forward that gave got, a mean over so many tokens."""
    off = abs(got - want) / abs(want)
    allowed = max(allowed, ROUNDING[computed_in] / math.sqrt(tokens) / abs(want))
    print(f"| {what} | {dtype} | {got:.5f} | {want:.5f} | {100 * off:.4f} % | {100 * allowed:.3g} % |")
    if not off <= allowed:
        failed.append(f"{what}, {dtype}: {got:.5f}, the peer has {want:.5f}")


peer = {s["step"]: s for s in lines("peer_f32.jsonl") if "step" in s}
held = {pathlib.Path(r["adapter"]).parts[-2:]: r for r in lines("held_torch.jsonl") if r["adapter"]}
held = {("peer" if k[-1] == "peer_adapter" else k[0]): r for k, r in held.items()}
print("| what | attune's dtype | attune | peer, float32 | apart | allowed |\n| --- | --- | --- | --- | --- | --- |")
for dtype in STEP:
    steps = [s for s in lines(f"attune_{dtype}/metrics.jsonl") if "loss" in s]
    if [s["step"] for s in steps] != list(peer) or any(s["trained_tokens"] != peer[s["step"]]["trained_tokens"] for s in steps):
        sys.exit(f"{dtype}: not the same steps and trained tokens as the peer's")
    worst = max(steps, key=lambda s: abs(s["loss"] / peer[s["step"]]["loss"] - 1))
    for name, s in ((f"loss of step 1 of {len(steps)}", steps[0]), (f"loss of step {worst['step']}, the furthest", worst)):
        check(name, dtype, s["loss"], peer[s["step"]]["loss"], STEP[dtype], dtype, s["trained_tokens"])
    tuned = json.loads((out / f"held_attune_{dtype}.json").read_text())[-1]
    if tuned["tokens"] != held["peer"]["tokens"]:
        sys.exit(f"held rows: attune counts {tuned['tokens']} trained tokens, the peer {held['peer']['tokens']}")
    check("held rows, measured by PyTorch in float32", dtype, held[f"attune_{dtype}"]["loss"], held["peer"]["loss"], HELD[dtype], "float32", tuned["tokens"])
    check("held rows, measured by attune", dtype, tuned["loss"], held["peer"]["loss"], HELD[dtype], dtype, tuned["tokens"])
base = lines("held_torch.jsonl")[0]
print(f"\nheld rows: {base['tokens']} trained tokens; loss of the base {base['loss']:.5f}, of the peer's adapter {held['peer']['loss']:.5f}")
if failed:
    sys.exit("\n".join(failed))
