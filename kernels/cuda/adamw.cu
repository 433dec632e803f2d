// kernels.AdamW, in the order of torch.optim.AdamW and of kernels/cpu/adamw.c: the same bits. One tensor or a table of them.
// Moves 28 bytes an element: four float32 read, three written.
#include "batch.cuh"

struct adamw_args {
  const f32 *param, *grad, *m, *v, *hyper;
  f32 *out_param, *out_m, *out_v; // each may be null
  i64 n, first;
  const adamw_args *all;
  f64 weight_decay;
  f32 weight_m, beta2, weight_v, eps; // 1 - beta1, beta2, 1 - beta2
  i32 count, pad;
};

struct adamw_step {
  f32 decay, scale, bias2, step;
};

// Worked out in float64 by one thread: that is slow on most cards.
DEVICE adamw_step adamw_scalars(const adamw_args &a) {
  f64 lr = a.hyper[0];
  return adamw_step{(f32)(1 - lr * a.weight_decay), a.hyper[3], (f32)sqrt((f64)a.hyper[2]), -(f32)(lr / (f64)a.hyper[1])};
}

// hot
KERNEL(adamw, adamw_args, 256, 2) {
  adamw_args a = tensor_of(args, blockIdx.x);
  adamw_step *s = shared<adamw_step>();
  if (threadIdx.x == 0) *s = adamw_scalars(a);
  __syncthreads();
  i64 begin = ((i64)blockIdx.x - a.first) * BLOCK_ELEMS;
  i64 n = begin + BLOCK_ELEMS < a.n ? begin + BLOCK_ELEMS : a.n;
  for (i64 at = begin + threadIdx.x * 8; at < n; at += 256 * 8) {
    raw8 rp = fetch8(a.param, FLOAT32, at, n), rg = fetch8(a.grad, FLOAT32, at, n);
    raw8 rm = fetch8(a.m, FLOAT32, at, n), rv = fetch8(a.v, FLOAT32, at, n);
    f32 p[8], g[8], m[8], v[8];
    widen8(rp, FLOAT32, p);
    widen8(rg, FLOAT32, g);
    widen8(rm, FLOAT32, m);
    widen8(rv, FLOAT32, v);
    UNROLL for (int i = 0; i < 8; i++) {
      g[i] = s->scale * g[i];
      p[i] = p[i] * s->decay;
      m[i] = fmaf(a.weight_m, g[i] - m[i], m[i]);
      v[i] = v[i] * a.beta2 + a.weight_v * g[i] * g[i];
      p[i] = p[i] + s->step * m[i] / (sqrtf(v[i]) / s->bias2 + a.eps);
    }
    if (a.out_param) store8(a.out_param, FLOAT32, at, n, p);
    if (a.out_m) store8(a.out_m, FLOAT32, at, n, m);
    if (a.out_v) store8(a.out_v, FLOAT32, at, n, v);
  }
}
