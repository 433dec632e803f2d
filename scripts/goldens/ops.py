"""Writes kernels/testdata/ops_torch.json: what PyTorch computes for small random inputs of every kernel, forward and by
autograd, in float64. kernels/torch_test.go holds the references to it.

    .venv/bin/python scripts/goldens/ops.py
"""

import json
import pathlib

import torch
import torch.nn.functional as F
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

torch.manual_seed(20)
torch.set_default_dtype(torch.float64)
cases = []


def tensor(x):
    if x is None:
        return None
    key = "f" if x.is_floating_point() else "i"
    return {"shape": list(x.shape), key: x.detach().reshape(-1).tolist()}


def case(kernel, attributes, ins, outs, **note):
    cases.append({"kernel": kernel, "attributes": attributes,
                  "in": [tensor(x) for x in ins], "out": [tensor(x) for x in outs], **note})


def leaf(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).requires_grad_()


def ints(*v):
    return torch.tensor(v, dtype=torch.int32)


def grads(out, d, *wrt):
    return torch.autograd.grad(out, wrt, d)


def rmsnorm(shape, eps):
    x, w = leaf(*shape), leaf(shape[-1])
    y = F.rms_norm(x, (shape[-1],), w, eps)
    rstd = torch.rsqrt(x.pow(2).mean(-1) + eps).reshape(-1)
    case("rmsnorm", {"Eps": eps}, [x, w], [y, rstd])
    dy = torch.randn_like(y)
    case("rmsnorm_bwd", {}, [x, w, rstd, dy], grads(y, dy, x, w))


def linear(t, i, o, bias, rank, scale):
    x, w = leaf(t, i), leaf(o, i)
    attributes = {"Bias": bias, "Rank": rank, "Scale": scale}
    b = leaf(o) if bias else None
    y, ins, lora = F.linear(x, w, b), [x, w], []
    if bias:
        ins.append(b)
    xa = None
    if rank:
        a, bb = leaf(rank, i), leaf(o, rank)
        xa = F.linear(x, a)
        y = y + scale * F.linear(xa, bb)
        ins += [a, bb]
        lora = [a, bb]
    case("linear", attributes, ins, [y, xa])
    dy = torch.randn_like(y)
    wrt = [v for v in [x, w, b, *lora] if v is not None]
    g = dict(zip(map(id, wrt), grads(y, dy, *wrt)))
    pick = lambda v: g.get(id(v)) if v is not None else None
    case("linear_bwd", attributes, [x, w, *lora, *([xa] if rank else []), dy],
         [pick(x), pick(w), pick(b), *(pick(v) for v in (lora or [None, None]))])


def attention(runs, heads, kv, dh, scale, window=0, soft_cap=0.0):
    t = sum(abs(n) for n in runs)
    seg = torch.tensor([s if n > 0 else -1 for s, n in enumerate(runs) for _ in range(abs(n))], dtype=torch.int32)
    q, k, v = leaf(t, heads, dh), leaf(t, kv, dh), leaf(t, kv, dh)
    i, j = torch.arange(t)[:, None], torch.arange(t)[None, :]
    run = torch.cat([torch.full((abs(n),), s) for s, n in enumerate(runs)])
    mask = (j <= i) & (run[:, None] == run[None, :])
    if window:
        mask &= j > i - window
    live = (seg >= 0)[:, None, None]
    kk, vv = k.repeat_interleave(heads // kv, 1), v.repeat_interleave(heads // kv, 1)
    s = torch.einsum("ihd,jhd->hij", q, kk) * scale
    if soft_cap:
        s = soft_cap * torch.tanh(s / soft_cap)
    s = s.masked_fill(~mask, -torch.inf)
    lse = torch.where(live[..., 0], torch.logsumexp(s, -1).T, 0.0)
    if soft_cap:
        o = torch.einsum("hij,jhd->ihd", s.softmax(-1), vv)
    else:  # PyTorch's own
        o = F.scaled_dot_product_attention(q.transpose(0, 1)[None], k.transpose(0, 1)[None], v.transpose(0, 1)[None],
                                           attn_mask=mask, scale=scale, enable_gqa=True)[0].transpose(0, 1)
    o = torch.where(live, o, 0.0)
    attributes = {"Scale": scale, "Window": window, "SoftCap": soft_cap}
    case("attention", attributes, [q, k, v, seg], [o, lse])
    do = torch.randn_like(o)
    case("attention_bwd", attributes, [q, k, v, seg, o, lse, do], grads(o, do, q, k, v))


def attention_cached(start, t, rows, heads, kv, dh, scale, window=0):
    q, k, v = leaf(t, heads, dh), leaf(t, kv, dh), leaf(t, kv, dh)
    kc, vc = torch.randn(rows, kv, dh), torch.randn(rows, kv, dh)
    pos = torch.arange(start, start + t)
    kn, vn = kc.clone(), vc.clone()
    kn[pos], vn[pos] = k.detach(), v.detach()
    j = torch.arange(rows)[None, :]
    mask = j <= pos[:, None]
    if window:
        mask &= j > pos[:, None] - window
    o = F.scaled_dot_product_attention(q.transpose(0, 1)[None], kn.transpose(0, 1)[None], vn.transpose(0, 1)[None],
                                       attn_mask=mask, scale=scale, enable_gqa=True)[0].transpose(0, 1)
    case("attention_cached", {"Scale": scale, "Window": window}, [q, k, v, kc, vc, pos.to(torch.int32)], [o])


def rope(t, heads, dh, scale):
    freq = 10000.0 ** (-torch.arange(0, dh, 2) / dh)
    pos = torch.randint(0, 3000, (t,), dtype=torch.int32)
    x = leaf(t, heads, dh)
    angles = pos[:, None] * freq
    angles = torch.cat([angles, angles], -1)[None]
    y = apply_rotary_pos_emb(x[None].transpose(1, 2), x[None].transpose(1, 2), angles.cos() * scale,
                             angles.sin() * scale)[0][0].transpose(0, 1)
    case("rope", {"InvFreq": freq.tolist(), "Scale": scale}, [x, pos], [y])
    dy = torch.randn_like(y)
    case("rope", {"InvFreq": freq.tolist(), "Scale": scale, "Inverse": True}, [dy, pos], grads(y, dy, x))


def swiglu(act, f):
    gate, up = leaf(3, 9, scale=3.0), leaf(3, 9)
    h = f(gate) * up
    case("swiglu", {"Act": act}, [gate, up], [h])
    dh = torch.randn_like(h)
    case("swiglu_bwd", {"Act": act}, [gate, up, dh], grads(h, dh, gate, up))


def linear_cross_entropy(t, d, vocab, soft_cap):
    hidden, w = leaf(t, d), leaf(vocab, d)
    targets, weights = torch.randint(0, vocab, (t,)), torch.rand(t)
    weights[1], targets[1] = 0.0, 0
    z = F.linear(hidden, w)
    if soft_cap:
        z = soft_cap * torch.tanh(z / soft_cap)
    nll = F.cross_entropy(z, targets, reduction="none")
    loss = (weights * nll).sum()
    case("linear_cross_entropy", {"SoftCap": soft_cap}, [hidden, w, targets.to(torch.int32), weights],
         [loss, *grads(loss, None, hidden, w), torch.where(weights != 0, nll, 0.0)])


def adamw(n, lr, betas, eps, weight_decay, steps, clip):
    p = torch.nn.Parameter(torch.randn(n))
    opt = torch.optim.AdamW([p], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
    m = v = torch.zeros(n)
    for t in range(1, steps + 1):
        before, grad = p.detach().clone(), torch.randn(n)
        p.grad = grad * clip
        opt.step()
        state = opt.state[p]
        hyper = torch.tensor([lr, 1 - betas[0] ** t, 1 - betas[1] ** t, clip])
        after = [p.detach().clone(), state["exp_avg"].clone(), state["exp_avg_sq"].clone()]
        case("adamw", {"Beta1": betas[0], "Beta2": betas[1], "Eps": eps, "WeightDecay": weight_decay},
             [before, grad, m, v, hyper], after)
        m, v = after[1], after[2]


def simple():
    table, ids = leaf(7, 3), ints(2, 0, 2, 6, 2)
    y = F.embedding(ids, table)
    case("embed", {}, [table, ids], [y])
    dy = torch.randn_like(y)
    case("embed_bwd", {}, [ids, dy], grads(y, dy, table))
    x, index = leaf(5, 3), ints(4, 1, 1)
    case("rows", {}, [x, index], [x.index_select(0, index)])
    a, b, s = leaf(3, 4), leaf(3, 4), torch.tensor(-1.75)
    case("add", {}, [a, b], [a + b])
    case("accumulate", {}, [a, b], [a + b])
    case("scaleby", {}, [a, s], [a * s])
    case("sumsq", {}, [a], [a.pow(2).sum()])
    case("zero", {}, [], [torch.zeros(3, 4)])


simple()
rmsnorm((4, 9), 1e-6)
rmsnorm((3, 2, 5), 1e-5)
linear(5, 6, 4, False, 0, 0.0)
linear(5, 6, 4, True, 0, 0.0)
linear(5, 6, 7, True, 3, 0.5)
rope(5, 3, 8, 1.0)
rope(3, 2, 6, 1.3)
attention([5], 2, 2, 3, 0.5)
attention([7], 6, 2, 3, 0.5)
attention([4, 1, 3], 4, 1, 2, 0.7)
attention([2, 4, -2], 2, 1, 3, 0.5)
attention([3, 7], 2, 1, 3, 0.5, window=4)
attention([3, 5, -1], 4, 2, 2, 1.5, window=3, soft_cap=2.0)
attention([6], 2, 1, 3, 2.0, soft_cap=1.0)
attention_cached(0, 5, 7, 4, 2, 3, 0.5)
attention_cached(5, 1, 7, 4, 2, 3, 0.5)
attention_cached(2, 5, 9, 2, 1, 3, 0.5, window=3)
swiglu("silu", F.silu)
swiglu("gelu", F.gelu)
swiglu("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"))
linear_cross_entropy(6, 5, 11, 0.0)
linear_cross_entropy(6, 5, 11, 3.0)
adamw(9, 1e-2, (0.9, 0.999), 1e-8, 0.1, 3, 1.0)
adamw(9, 3e-3, (0.8, 0.95), 1e-5, 0.0, 2, 0.25)

path = pathlib.Path(__file__).parents[2] / "kernels/testdata/ops_torch.json"
with open(path, "w") as f:
    f.write('{"torch": "%s", "cases": [\n' % torch.__version__)
    f.write(",\n".join(json.dumps(c) for c in cases))
    f.write("\n]}\n")
print(len(cases), "cases,", path.stat().st_size, "bytes")
