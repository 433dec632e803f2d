// y = x Wᵀ + bias + scale xA Bᵀ for at most 8 rows of x: generation, one token at a time or a few. W is read once and as it
// is stored: nothing is rounded but y.
//
// A warp makes 4 outputs of all rows, its lanes 8 elements of k each at a time: 4 loads of 16 bytes under way for one of x,
// which the first-level cache has. 16 outputs a block of 128 threads, no shared memory; bound by reading W. A sum is 32
// lanes' chains of fused multiply-adds, added as a tree.
#include "gemm_bf16.cuh"

struct gemv_args {
  const void *x, *w, *bias, *b;
  const f32 *xa;
  void *y;
  i32 rows, n, k, r, dx, dw, dbias, db, dy;
  f32 scale;
};

enum { GEMV_OUT = 4, GEMV_WARPS = 4 };

template <int T> DEVICE void gemv(const gemv_args &args) {
  i32 lane = (i32)threadIdx.x % 32, o0 = ((i32)blockIdx.x * GEMV_WARPS + (i32)threadIdx.x / 32) * GEMV_OUT;
  bool wide_x = rows_wide(args.x, args.dx, args.k), wide_w = rows_wide(args.w, args.dw, args.k);
  f32 acc[GEMV_OUT][T];
  UNROLL for (int o = 0; o < GEMV_OUT; o++) UNROLL for (int t = 0; t < T; t++) acc[o][t] = 0;
  for (i32 k = lane * 8; k < args.k; k += 256) {
    i32 left = args.k - k;
    f32 w[GEMV_OUT][8];
    UNROLL for (int o = 0; o < GEMV_OUT; o++)
      load_up_to8(args.w, args.dw, (i64)(o0 + o) * args.k + k, o0 + o < args.n ? left : 0, wide_w, w[o]);
    UNROLL for (int t = 0; t < T; t++) {
      f32 x[8];
      load_up_to8(args.x, args.dx, (i64)t * args.k + k, t < args.rows ? left : 0, wide_x, x);
      UNROLL for (int o = 0; o < GEMV_OUT; o++) UNROLL for (int i = 0; i < 8; i++) acc[o][t] = fmaf(x[i], w[o][i], acc[o][t]);
    }
  }
  for (i32 j = lane; j < args.r; j += 32) // r is 0 without LoRA
    UNROLL for (int t = 0; t < T; t++) {
      f32 xa = t < args.rows ? args.scale * args.xa[t * args.r + j] : 0;
      UNROLL for (int o = 0; o < GEMV_OUT; o++)
        if (o0 + o < args.n) acc[o][t] = fmaf(xa, load(args.b, args.db, (i64)(o0 + o) * args.r + j), acc[o][t]);
    }
  UNROLL for (int o = 0; o < GEMV_OUT; o++) UNROLL for (int t = 0; t < T; t++) {
    f32 v = warp_sum(acc[o][t]);
    if (lane != o * T + t || o0 + o >= args.n || t >= args.rows) continue;
    if (args.bias) v += load(args.bias, args.dbias, o0 + o);
    store(args.y, args.dy, (i64)t * args.n + o0 + o, v);
  }
}

// hot
KERNEL(gemv_1, gemv_args, 128, 4) { gemv<1>(args); }
KERNEL(gemv_2, gemv_args, 128, 4) { gemv<2>(args); }
KERNEL(gemv_4, gemv_args, 128, 4) { gemv<4>(args); }
KERNEL(gemv_8, gemv_args, 128, 4) { gemv<8>(args); }
