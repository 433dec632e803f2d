"""Writes engine/model/testdata/models.json: what transformers computes, in float32 on the CPU, for tiny models whose
weights are a formula that the test repeats, so that no weights are stored.

usage: python scripts/goldens/models.py   (needs torch, transformers)

Element i of the tensor called name: u = mix(i * 0x9e3779b9 + fnv1a32(name)) >> 8, times 2^-24, minus 0.5, then
matrices 4 u / sqrt(columns), biases u, norms 1 + u; rounded to float32, then to the case's dtype.
"""
import json, math, pathlib
import numpy as np, torch, transformers
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

BASE = dict(vocab_size=80, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=256, rms_norm_eps=1e-5, hidden_act="silu", attention_dropout=0.0, tie_word_embeddings=False, bos_token_id=None, eos_token_id=2, pad_token_id=None)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
CASES = [  # name, dtype stored, shards, config.json
    ("llama, linear scaling, biases", "F32", 1, dict(BASE, model_type="llama", rope_theta=10000.0, rope_scaling={"type": "linear", "factor": 4.0}, attention_bias=True, mlp_bias=True, torch_dtype="float32")),
    ("llama, llama3 scaling, tied, own head_dim, bfloat16", "BF16", 1, dict(BASE, model_type="llama", head_dim=24, tie_word_embeddings=True, rope_parameters=dict(LLAMA3, rope_theta=500.0), dtype="bfloat16")),
    ("llama, llama3 scaling, published spelling", "F32", 2, dict(BASE, model_type="llama", num_key_value_heads=4, rope_theta=500000.0, rope_scaling=LLAMA3, torch_dtype="float32")),
    ("mistral, window 8, shards", "F32", 3, dict(BASE, model_type="mistral", sliding_window=8, rope_theta=1000000.0, torch_dtype="float32")),
    ("mistral, no window, gelu", "F32", 1, dict(BASE, model_type="mistral", sliding_window=None, head_dim=16, hidden_act="gelu", rope_theta=10000.0, torch_dtype="float32")),
    ("qwen2, tied, window from layer 1 on, float16", "F16", 1, dict(BASE, model_type="qwen2", tie_word_embeddings=True, use_sliding_window=True, sliding_window=6, max_window_layers=1, rope_theta=1000000.0, torch_dtype="float16")),
    ("qwen2, window set but not used, gelu_pytorch_tanh", "F32", 1, dict(BASE, model_type="qwen2", hidden_act="gelu_pytorch_tanh", use_sliding_window=False, sliding_window=6, max_window_layers=1, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    ("qwen3, layer_types, biases", "F32", 1, dict(BASE, model_type="qwen3", head_dim=16, attention_bias=True, use_sliding_window=True, sliding_window=7, layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, dtype="float32")),
]
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def mix(x):
    x = x & 0xFFFFFFFF
    x ^= x >> 16; x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x ^= x >> 15; x = (x * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def formula(name, shape):
    h = 0x811C9DC5
    for b in name.encode(): h = ((h ^ b) * 0x01000193) & 0xFFFFFFFF
    i = np.arange(math.prod(shape), dtype=np.uint64)
    u = (mix((i * 0x9E3779B9 + h) & 0xFFFFFFFF) >> 8).astype(np.float64) * 2.0 ** -24 - 0.5
    v = 4 * u / math.sqrt(shape[-1]) if len(shape) > 1 else u if name.endswith("bias") else 1 + u
    return torch.tensor(v.astype(np.float32)).reshape(shape)


out = {"made_with": dict(torch=torch.__version__, transformers=transformers.__version__, command="python scripts/goldens/models.py"), "cases": []}
for name, dtype, shards, config in CASES:
    cfg = CONFIG_MAPPING[config["model_type"]].from_dict({k: v for k, v in config.items() if k not in ("torch_dtype", "dtype")})
    model = AutoModelForCausalLM.from_config(cfg, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for n, p in model.named_parameters(): p.copy_(formula(n, tuple(p.shape)).to(DTYPES[dtype]).float())
        ids = torch.tensor([[int(mix(1000 + i)) % BASE["vocab_size"] for i in range(40)]])
        logits = model(input_ids=ids).logits[0]
        nll = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction="none")
    out["cases"].append(dict(name=name, dtype=dtype, shards=shards, config=config, parameters=sum(p.numel() for p in model.parameters()), ids=ids[0].tolist(),
                             last_logits=[round(x, 6) for x in logits[-1].tolist()], nll=[round(x, 6) for x in nll.tolist()]))
    print(name, "nll", round(nll.mean().item(), 4), "logit sd", round(logits.std().item(), 3))
path = pathlib.Path(__file__).parents[2] / "engine/model/testdata/models.json"
path.write_text(json.dumps(out, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
