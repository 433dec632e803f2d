// kernels.RMSNorm. A row is `lanes` threads' work, 8 columns each at a time: 8 to 32 of a warp for rows of at most 1024
// columns, otherwise 256. Rows of at most 8192 columns stay in registers between the sum and the products, so that x is read
// and y written once; longer ones are read twice, mostly from the L2 cache. Two 16-byte loads a thread are in flight from 2048
// columns of bfloat16 on, and as many warps as fit.
#include "row.cuh"

struct rmsnorm_args {
  const void *x, *weight; // (rows, d), (d)
  void *y;                // (rows, d) or null
  f32 *rstd;              // (rows) or null
  i64 rows;
  i32 d, lanes, dx, dw, dy;
  f32 eps;
};

// In float32: the sum is that exact, and float64 is a 64th as fast on most cards.
DEVICE f32 rmsnorm_rstd(const rmsnorm_args &args, f32 sum) { return 1.0f / sqrtf(sum / (f32)args.d + args.eps); }

DEVICE void rmsnorm_put(const rmsnorm_args &args, i64 at, i32 c, f32 s, f32 (&x)[8]) {
  f32 w[8];
  row_load8(args.weight, args.dw, 0, c, args.d, w);
  UNROLL for (int j = 0; j < 8; j++) x[j] = x[j] * s * w[j];
  row_store8(args.y, args.dy, at, c, args.d, x);
}

// Rows of at most 8 CHUNKS lanes columns.
template <int CHUNKS> DEVICE void rmsnorm(const rmsnorm_args &args) {
  i32 lane;
  i64 row = row_of(args.lanes, lane), at = row * args.d;
  i32 d = row < args.rows ? args.d : 0;
  raw8 raw[CHUNKS];
  UNROLL for (int k = 0; k < CHUNKS; k++) {
    i32 c = (k * args.lanes + lane) * 8;
    raw[k] = c < d ? row_fetch8(args.x, args.dx, at, c, d) : raw8{{0, 0, 0, 0, 0, 0, 0, 0}};
  }
  f32 x[CHUNKS][8], sum = 0;
  UNROLL for (int k = 0; k < CHUNKS; k++) {
    widen8(raw[k], args.dx, x[k]);
    UNROLL for (int j = 0; j < 8; j++) sum = fmaf(x[k][j], x[k][j], sum);
  }
  f32 s = rmsnorm_rstd(args, row_sum(sum, args.lanes, shared<f32>()));
  if (args.rstd && lane == 0 && d > 0) args.rstd[row] = s;
  if (!args.y) return;
  UNROLL for (int k = 0; k < CHUNKS; k++) {
    i32 c = (k * args.lanes + lane) * 8;
    if (c < d) rmsnorm_put(args, at, c, s, x[k]);
  }
}

// hot
KERNEL(rmsnorm_1, rmsnorm_args, 256, 4) { rmsnorm<1>(args); }
KERNEL(rmsnorm_2, rmsnorm_args, 256, 4) { rmsnorm<2>(args); }
KERNEL(rmsnorm_4, rmsnorm_args, 256, 4) { rmsnorm<4>(args); }

// hot
KERNEL(rmsnorm_long, rmsnorm_args, 256, 4) {
  i64 at = (i64)blockIdx.x * args.d;
  f32 x[8], sum = 0;
  for (i32 c = (i32)threadIdx.x * 8; c < args.d; c += 256 * 8) {
    row_load8(args.x, args.dx, at, c, args.d, x);
    UNROLL for (int j = 0; j < 8; j++) sum = fmaf(x[j], x[j], sum);
  }
  f32 s = rmsnorm_rstd(args, row_sum(sum, 256, shared<f32>()));
  if (args.rstd && threadIdx.x == 0) args.rstd[blockIdx.x] = s;
  if (!args.y) return;
  for (i32 c = (i32)threadIdx.x * 8; c < args.d; c += 256 * 8) {
    row_load8(args.x, args.dx, at, c, args.d, x);
    rmsnorm_put(args, at, c, s, x);
  }
}
