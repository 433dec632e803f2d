"""Loads a base model and an attune adapter with transformers and PEFT, and prints the logits after the last id as JSON:
what attune's own logits are to agree with.

usage: python scripts/peft_check.py MODEL_DIR ADAPTER_DIR ID [ID ...]   (needs torch, transformers, peft)
       ADAPTER_DIR "-" = the base model alone
"""
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base, adapter, ids = sys.argv[1], sys.argv[2], [int(i) for i in sys.argv[3:]]
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
loaded = 0
if adapter != "-":
    model = PeftModel.from_pretrained(model, adapter)
    loaded = sum(p.numel() for n, p in model.named_parameters() if ".lora_" in n)
    zero = [n for n, p in model.named_parameters() if ".lora_A." in n and not p.any()]
    if not loaded or zero:
        sys.exit(f"{adapter}: {loaded} adapter parameters, zero: {zero}")
with torch.no_grad():
    logits = model.eval()(input_ids=torch.tensor([ids])).logits[0, -1].tolist()
print(json.dumps({"ids": ids, "adapter_parameters": loaded, "last_token_logits": [round(x, 6) for x in logits]}))
