// kernels.RMSNormBwd. dx: threads and registers as in rmsnorm.cu; x and dy are read once and dx is written. dweight, which
// only full fine-tuning wants, reads x and dy once more: a block of rmsnorm_dweight adds 32 rows, colsum adds the blocks'.
#include "row.cuh"

struct rmsnorm_bwd_args {
  const void *x, *weight; // (rows, d), (d)
  const f32 *rstd;        // (rows)
  const void *dy;         // (rows, d)
  void *out;              // (rows, d)
  i64 rows;
  i32 d, lanes, dx, dw, ddy, dout;
};

// rmsnorm_bwd_get makes n = x rstd and g = weight dy of 8 columns and returns their products' sum on top of dot.
DEVICE f32 rmsnorm_bwd_get(const rmsnorm_bwd_args &args, i64 at, i32 c, f32 s, f32 (&n)[8], f32 (&g)[8], f32 dot) {
  raw8 rx = row_fetch8(args.x, args.dx, at, c, args.d), rg = row_fetch8(args.dy, args.ddy, at, c, args.d);
  raw8 rw = row_fetch8(args.weight, args.dw, 0, c, args.d);
  f32 w[8];
  widen8(rx, args.dx, n);
  widen8(rg, args.ddy, g);
  widen8(rw, args.dw, w);
  UNROLL for (int j = 0; j < 8; j++) {
    n[j] = n[j] * s;
    g[j] = g[j] * w[j];
    dot = fmaf(g[j], n[j], dot);
  }
  return dot;
}

DEVICE void rmsnorm_bwd_put(const rmsnorm_bwd_args &args, i64 at, i32 c, f32 s, f32 mean, const f32 (&n)[8], f32 (&g)[8]) {
  UNROLL for (int j = 0; j < 8; j++) g[j] = s * (g[j] - n[j] * mean);
  row_store8(args.out, args.dout, at, c, args.d, g);
}

template <int CHUNKS> DEVICE void rmsnorm_bwd(const rmsnorm_bwd_args &args) {
  i32 lane;
  i64 row = row_of(args.lanes, lane), at = row * args.d;
  i32 d = row < args.rows ? args.d : 0;
  f32 s = d > 0 ? args.rstd[row] : 0;
  f32 n[CHUNKS][8], g[CHUNKS][8], dot = 0;
  UNROLL for (int k = 0; k < CHUNKS; k++) {
    i32 c = (k * args.lanes + lane) * 8;
    if (c < d) dot = rmsnorm_bwd_get(args, at, c, s, n[k], g[k], dot);
  }
  f32 mean = row_sum(dot, args.lanes, shared<f32>()) / (f32)args.d;
  UNROLL for (int k = 0; k < CHUNKS; k++) {
    i32 c = (k * args.lanes + lane) * 8;
    if (c < d) rmsnorm_bwd_put(args, at, c, s, mean, n[k], g[k]);
  }
}

// hot
KERNEL(rmsnorm_bwd_1, rmsnorm_bwd_args, 256, 4) { rmsnorm_bwd<1>(args); }
KERNEL(rmsnorm_bwd_2, rmsnorm_bwd_args, 256, 3) { rmsnorm_bwd<2>(args); }
KERNEL(rmsnorm_bwd_4, rmsnorm_bwd_args, 256, 2) { rmsnorm_bwd<4>(args); }

// hot
KERNEL(rmsnorm_bwd_long, rmsnorm_bwd_args, 256, 3) {
  i64 at = (i64)blockIdx.x * args.d;
  f32 s = args.rstd[blockIdx.x], n[8], g[8], dot = 0;
  for (i32 c = (i32)threadIdx.x * 8; c < args.d; c += 256 * 8) dot = rmsnorm_bwd_get(args, at, c, s, n, g, dot);
  f32 mean = row_sum(dot, 256, shared<f32>()) / (f32)args.d;
  for (i32 c = (i32)threadIdx.x * 8; c < args.d; c += 256 * 8) {
    rmsnorm_bwd_get(args, at, c, s, n, g, 0);
    rmsnorm_bwd_put(args, at, c, s, mean, n, g);
  }
}

struct rmsnorm_dweight_args {
  const void *x;
  const f32 *rstd;
  const void *dy;
  f32 *y; // (rows/32, d)
  i64 rows;
  i32 d, dx, ddy, pad;
};

enum { DWEIGHT_ROWS = 32 };

// hot
KERNEL(rmsnorm_dweight, rmsnorm_dweight_args, 256, 3) {
  i32 c = (i32)(blockIdx.x * blockDim.x + threadIdx.x) * 8;
  if (c >= args.d) return;
  i64 first = (i64)blockIdx.y * DWEIGHT_ROWS, end = first + DWEIGHT_ROWS < args.rows ? first + DWEIGHT_ROWS : args.rows;
  f32 sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (i64 r = first; r < end; r++) {
    raw8 rx = row_fetch8(args.x, args.dx, r * args.d, c, args.d), rg = row_fetch8(args.dy, args.ddy, r * args.d, c, args.d);
    f32 x[8], dy[8], s = args.rstd[r];
    widen8(rx, args.dx, x);
    widen8(rg, args.ddy, dy);
    UNROLL for (int j = 0; j < 8; j++) sum[j] = fmaf(dy[j], x[j] * s, sum[j]);
  }
  row_store8(args.y, FLOAT32, (i64)blockIdx.y * args.d, c, args.d, sum);
}
