"""Keeps and lays out the results of scripts/gpu-check.sh.

usage: python report.py add STAGES NAME RC SECONDS OUTPUT     a stage's line in STAGES, its last JSON line as its data
       python report.py count LOG                             passed, failed and skipped tests of a `go test -v` log, as a JSON line
       python report.py info DOCTOR                           what `attune doctor --json` said, as a JSON line
       python report.py line                                  standard input's JSON on one line
       python report.py table STAGES OUT MANIFEST             OUT/result.json and OUT/table.md
       python report.py pack DIR ARCHIVE, unpack ARCHIVE DIR  programs that share most of their code take little more than one
"""
import datetime, hashlib, json, lzma, pathlib, re, sys, tarfile


def stages(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def add(path, name, rc, seconds, output):
    data = None
    for line in pathlib.Path(output).read_text(errors="replace").splitlines():
        if line.startswith("{"):
            try:
                data = json.loads(line)
            except json.JSONDecodeError:
                pass
    kept = [s for s in stages(path) if s["stage"] != name]
    kept.append({"stage": name, "rc": int(rc), "seconds": round(float(seconds), 1), "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "data": data})
    pathlib.Path(path).write_text("".join(json.dumps(s) + "\n" for s in kept))


def count(log):
    text = pathlib.Path(log).read_text(errors="replace")
    n = {w: len(re.findall(rf"^ *--- {w}", text, re.M)) for w in ("PASS", "FAIL", "SKIP")}
    print(json.dumps({"passed": n["PASS"], "failed": n["FAIL"], "skipped": n["SKIP"], "failures": re.findall(r"^ *--- FAIL: (\S+)", text, re.M)[:50]}))


def share(part, whole):
    return f"{100 * part / whole:.1f} %" if part and whole else "not measured"


def table(path, out, manifest):
    out, all_stages = pathlib.Path(out), stages(path)
    data = {s["stage"]: s["data"] or {} for s in all_stages if s["rc"] == 0}
    info = data.get("info", {})
    device = ", ".join(f"{g.get('name')}" for g in info.get("gpus") or []) or "no GPU found"
    ceil, driver = data.get("ceilings", {}), info.get("driver") or {}
    lines = [f"# {device}", "", f"Driver {driver.get('release', 'of unknown release')}, CUDA up to {driver.get('cuda', 'unknown')}; built as {hashlib.sha256(pathlib.Path(manifest).read_bytes()).hexdigest()[:12]} (SHA-256 of the folder's MANIFEST).", "",
             "| stage | result | seconds | |", "| --- | --- | --- | --- |"]
    for s in all_stages:
        d, what = s["data"] or {}, ""
        if "passed" in d:
            what = f"{d['passed']} tests passed, {d['failed']} failed, {d['skipped']} skipped" + "".join(f"; {f}" for f in d["failures"][:3])
        elif "tokens_per_second" in d:
            what = f"{d['tokens_per_second']:.0f} tokens/s"
        lines.append(f"| {s['stage']} | {'passed' if s['rc'] == 0 else 'rc %d' % s['rc']} | {s['seconds']} | {what} |")
    lines += ["", "| what | figure | against |", "| --- | --- | --- |"]
    row = lambda *cells: lines.append("| " + " | ".join(str(c) for c in cells) + " |")
    best = max((data.get(n, {}).get("tokens_per_second", 0) for n in ("llama3-8b-a", "llama3-8b-b", "llama3-8b-c")), default=0)
    peer = max((data.get(n, {}).get("tokens_per_second", 0) for n in ("peer-llama3-8b", "peer-llama3-8b-compiled")), default=0)
    if best:
        row("Llama-3 8B, LoRA r 16, bfloat16, rows of 4096", f"{best:.0f} tokens/s", f"13,500 wanted; PyTorch + PEFT {peer:.0f}, ratio {best / peer:.2f}" if peer else "13,500 wanted; the peer did not run")
    for name, b in data.items():
        if "planned_bytes" in b and b.get("measured_bytes"):
            row(f"memory of {name}", f"{b['measured_bytes'] / 2 ** 20:.0f} MiB taken", f"{b['planned_bytes'] / 2 ** 20:.0f} MiB planned, {100 * (b['measured_bytes'] / b['planned_bytes'] - 1):+.1f} %")
    f, b = data.get("curve-float32", {}).get("losses"), data.get("curve-bfloat16", {}).get("losses")
    if f and b:
        row("loss curve, bfloat16 against float32", f"{100 * max(abs(x - y) / abs(x) for x, y in zip(f, b)):.3f} % at worst", "1 %")
    kernels = {k["kernel"]: k for k in data.get("llama3-8b-a", {}).get("profile", [])}
    attention = [a for a in ceil.get("attention_ms", {}).values() if "forward" in a]
    for kernel, way, wanted in (("attention", "forward", "60 %"), ("attention_bwd", "backward", "50 %")):
        if kernel in kernels and attention:
            mine, best_ms = 1e3 * kernels[kernel]["seconds"] / kernels[kernel]["calls"], min(a[way] for a in attention)
            row(f"attention {way}, 32 heads over 8 of 128, 4096 tokens", f"{mine:.3f} ms", f"library {best_ms:.3f} ms: {share(best_ms, mine)} of its speed, {wanted} wanted")
    if kernels:
        lines += ["", "| kernel (each call waited for) | calls | ms | TFLOP/s | GB/s | of the copy |", "| --- | --- | --- | --- | --- | --- |"]
        for k in kernels.values():
            gbs = k["bytes"] / k["seconds"] / 1e9
            row(k["kernel"], k["calls"], f"{1e3 * k['seconds']:.2f}", f"{k['flop'] / k['seconds'] / 1e12:.1f}", f"{gbs:.0f}", share(gbs, ceil.get("copy_gbs")))
    if ceil:
        lines += ["", f"In the same sitting PyTorch {ceil['torch']} copies {ceil['copy_gbs']:.0f} GB/s (read and written) and multiplies {ceil['product_tflops']:.0f} TFLOP/s in bfloat16."]
    (out / "table.md").write_text("\n".join(lines) + "\n")
    (out / "result.json").write_text(json.dumps({"device": device, "stages": all_stages}, indent=1) + "\n")


def pack(directory, archive):
    reach = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 3, "dict_size": 1 << 28}]   # back to the first program
    with lzma.open(archive, "wb", filters=reach) as f, tarfile.open(fileobj=f, mode="w|") as t:
        for p in sorted(pathlib.Path(directory).iterdir()):
            t.add(p, arcname=p.name)


def unpack(archive, directory):
    with tarfile.open(archive, "r|xz") as t:
        t.extractall(directory, filter="data")


match sys.argv[1:]:
    case ["add", path, name, rc, seconds, output]: add(path, name, rc, seconds, output)
    case ["count", log]: count(log)
    case ["info", doctor]: print(json.dumps(json.loads(pathlib.Path(doctor).read_text())))
    case ["line"]: print(json.dumps(json.load(sys.stdin)))
    case ["table", path, out, manifest]: table(path, out, manifest)
    case ["pack", directory, archive]: pack(directory, archive)
    case ["unpack", archive, directory]: unpack(archive, directory)
    case _: sys.exit(__doc__)
