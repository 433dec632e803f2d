"""Writes a fresh LoRA adapter made by PEFT (A random, B zero): the one start for two trainers that are compared.

usage: python scripts/peft_new_adapter.py MODEL_DIR OUT_DIR [R=16] [ALPHA=32] [SEED=7]     (needs torch, transformers, peft)
"""
import sys
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

model, out = sys.argv[1:3]
r, alpha, seed = (int(given) if given else default for given, default in zip(sys.argv[3:6] + [None] * 3, (16, 32, 7)))
torch.manual_seed(seed)
base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
config = LoraConfig(r=r, lora_alpha=alpha, lora_dropout=0.0, bias="none", target_modules="all-linear", task_type="CAUSAL_LM")
get_peft_model(base, config).save_pretrained(out)
