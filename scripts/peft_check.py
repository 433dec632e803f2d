"""Loads a base model and an attune adapter with transformers and PEFT, and prints the logits behind the last id as JSON:
what attune's own logits are to agree with (cmd/attune/peft_test.go compares them). Every tensor of the adapter must have
arrived in the model unchanged, no A may be zero, and the merged model must give the same logits.

usage: python scripts/peft_check.py MODEL_DIR ADAPTER_DIR ID [ID ...]     (needs torch, transformers, peft)
       python scripts/peft_check.py MODEL_DIR ADAPTER_DIR --ids FILE      FILE: a JSON array of id lists; logits behind every id
       ADAPTER_DIR "-" = the base model alone
"""
import json, sys
import torch
from peft import PeftModel, get_peft_model_state_dict, load_peft_weights
from transformers import AutoModelForCausalLM


def adapted(model, adapter):
    """The model with the adapter on it, as any PEFT user loads it, and the number of adapter parameters."""
    model = PeftModel.from_pretrained(model, adapter)
    written, loaded = load_peft_weights(adapter, device="cpu"), get_peft_model_state_dict(model)
    if not written or written.keys() != loaded.keys():
        sys.exit(f"{adapter}: in the file only {sorted(written.keys() - loaded.keys())}, in the model only {sorted(loaded.keys() - written.keys())}")
    if wrong := [n for n, t in written.items() if t.dtype != torch.float32 or not torch.equal(t, loaded[n])]:
        sys.exit(f"{adapter}: not what the file holds, or not float32: {wrong}")
    if zero := [n for n, t in written.items() if ".lora_A." in n and not t.any()]:
        sys.exit(f"{adapter}: all zero: {zero}")
    return model, sum(t.numel() for t in written.values())


@torch.no_grad()
def logits(model, sequences):
    return [model(input_ids=torch.tensor([ids])).logits[0] for ids in sequences]


def rounded(row):
    return [round(x, 6) for x in row.tolist()]


def main():
    base, adapter, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    every = rest[0] == "--ids"
    sequences = json.load(open(rest[1])) if every else [[int(i) for i in rest]]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager").eval()
    out = {"ids": sequences if every else sequences[0], "adapter_parameters": 0}
    if adapter != "-":
        bare = logits(model, sequences)
        model, out["adapter_parameters"] = adapted(model, adapter)
    got = logits(model.eval(), sequences)
    if every:
        out["logits"] = [[rounded(row) for row in s] for s in got]
    else:
        out["last_token_logits"] = rounded(got[0][-1])
    if adapter != "-":
        largest = lambda other: max((a - b).abs().max().item() for a, b in zip(got, other))
        out["adapter_changes"] = largest(bare)
        out["merged_differs"] = largest(logits(model.merge_and_unload(), sequences))
        if out["merged_differs"] > 1e-3 * max(1, max(s.abs().max().item() for s in got)):
            sys.exit(f"{adapter}: merged into the base its logits are off by {out['merged_differs']:g}")
    print(json.dumps(out))


main()
