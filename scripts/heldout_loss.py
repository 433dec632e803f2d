"""The mean loss of held rows' trained tokens (assistant contents and the end-of-turn marker behind them), by PyTorch in
float32: of the base model, and with each adapter by PEFT. One JSON line a model.

usage: python scripts/heldout_loss.py PEER_DIR MODEL_DIR ROWS MAX_LENGTH [ADAPTER_DIR ...]     (needs torch, transformers, peft)
       PEER_DIR holds peer_common.py, which renders rows and says which tokens are trained
"""
import json, os, sys

os.environ["HF_HUB_OFFLINE"] = "1"
peer, base, rows, max_length, adapters = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:]
sys.path.insert(0, peer)
import peer_common
import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer


@torch.no_grad()
def mean_loss(model, examples):
    """One example at a time: no padding, no mask to get wrong."""
    total, tokens = 0.0, 0
    for ids, trained in examples:
        at = [i for i in range(len(ids) - 1) if trained[i + 1]]     # position i predicts id i+1
        logits = model(input_ids=torch.tensor([ids]), logits_to_keep=torch.tensor(at)).logits[0]
        total += cross_entropy(logits, torch.tensor(ids)[[i + 1 for i in at]], reduction="sum").item()
        tokens += len(at)
    return total / tokens, tokens


held = peer_common.load_rows(rows)
examples = peer_common.encode_rows(AutoTokenizer.from_pretrained(base), held, max_length, len(held))
for adapter in [""] + adapters:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    loss, tokens = mean_loss(model.eval(), examples)
    print(json.dumps({"adapter": adapter, "loss": loss, "tokens": tokens}), flush=True)
