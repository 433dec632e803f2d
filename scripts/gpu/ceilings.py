"""What the card and PyTorch's best kernels reach, in the sitting in which attune is timed: copy bandwidth, a large bfloat16
product, the linear layers and the attention of Llama-3 8B at 4096 tokens. Prints one JSON line; times are medians in milliseconds.

usage: python scripts/gpu/ceilings.py [--device cuda] [--tokens 4096]
"""
import argparse, json, statistics, time

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu only shows that the script runs")
ap.add_argument("--tokens", type=int, default=4096)
ap.add_argument("--side", type=int, default=8192, help="of the large product")
a = ap.parse_args()
cuda = a.device == "cuda"
bf16 = dict(device=a.device, dtype=torch.bfloat16)


def timed(f, repeats=20):
    """Median milliseconds of a call, by events on the device."""
    for _ in range(3):
        f()
    times = []
    for _ in range(repeats):
        if cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record(); f(); end.record(); torch.cuda.synchronize()
            times.append(start.elapsed_time(end))
        else:
            t = time.perf_counter(); f(); times.append(1e3 * (time.perf_counter() - t))
    return statistics.median(times)


r = {"torch": torch.__version__, "tokens": a.tokens}
x = torch.empty(1 << 30 if cuda else 1 << 20, device=a.device, dtype=torch.uint8)
y = torch.empty_like(x)
r["copy_gbs"] = 2 * x.numel() / timed(lambda: y.copy_(x)) / 1e6
del x, y
p, q = (torch.randn(a.side, a.side, **bf16) for _ in range(2))
r["product_tflops"] = 2 * a.side ** 3 / timed(lambda: p @ q) / 1e9
del p, q
r["linear_ms"] = {}
for name, o, i in [("q_proj", 4096, 4096), ("k_proj", 1024, 4096), ("gate_proj", 14336, 4096), ("down_proj", 4096, 14336)]:
    x, w = torch.randn(a.tokens, i, **bf16), torch.randn(o, i, **bf16)
    r["linear_ms"][name] = timed(lambda: F.linear(x, w))
r["attention_ms"] = {}
heads, kv, size = 32, 8, 128
for name, backend in [("flash", SDPBackend.FLASH_ATTENTION), ("cudnn", SDPBackend.CUDNN_ATTENTION)] if cuda else [("math", SDPBackend.MATH)]:
    q, k, v = (torch.randn(1, h, a.tokens, size, requires_grad=True, **bf16) for h in (heads, kv, kv))
    try:
        with sdpa_kernel(backend):
            forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            f = timed(lambda: forward().detach())
            o = forward()
            g = torch.randn_like(o)
            b = timed(lambda: torch.autograd.grad(o, (q, k, v), g, retain_graph=True))
        r["attention_ms"][name] = {"forward": f, "backward": b}
    except RuntimeError as e:       # a backend that this card or this version has not
        r["attention_ms"][name] = {"error": str(e).splitlines()[0][:200]}
print(json.dumps(r))
