// D = alpha (op(A) op(B) + op(A2) op(B2)) + beta C + bias for bfloat16 operands and float32 sums. A2 and B2, with k2 products
// an element (0 = none), are LoRA's term: a few k more at the end of the same sum. Elements that dropout drops are 0 before
// C is added.
//
// 8 warps make a tile of 128x128 (64x32 a warp) or, where such tiles are too few to fill a device, 64x128, in steps of 32 k
// by mma m16n8k16; four steps are in shared memory, three of them on their way by cp.async: 64 KB, and 66 KB when the sums
// pass through it to be stored 16 bytes at a time. Registers: 128 at most, two blocks a multiprocessor where shared memory
// allows. A step of the large tile is 512 Ki multiply-adds and 48 KB read from shared memory by ldmatrix: 512 and 384 cycles
// of an A100's multiprocessor, so bound by mma. Tiles are taken in groups of 8 rows of tiles, so that blocks at work at the
// same time share A and B in the second-level cache.
//
// The sum of an element runs over k in order, 16 products an mma, whatever the tile.
#include "gemm_bf16.cuh"

struct gemm_bf16_args {
  const void *a, *b, *a2, *b2, *c, *bias;
  void *d;
  const i32 *keys;
  i64 lda, ldb, lda2, ldb2, ldc, ldd;
  i32 m, n, k, k2, dcd, dbias, dropped;
  f32 alpha, beta;
  u32 salt;
  f32 rate;
  i32 pad;
};

enum { BF16_STAGES = 4, BF16_DEPTH = 32, BF16_COLS = 128, BF16_OUT = BF16_COLS + 4, BF16_GROUP = 8 };

// The tile of a block, of 32*MT rows, and what it is made of.
struct bf16_tile {
  bf16_matrix ma, mb, ma2, mb2;
  i32 m0, n0, steps1, steps;
};

// bf16_step is how many elements a step of A and B takes in shared memory.
template <int MT> DEVICE i32 bf16_step() { return (32 * MT + BF16_COLS) * BF16_DEPTH; }

// bf16_load begins the copies of step s.
template <bool TA, bool TB, int MT> DEVICE void bf16_load(const bf16_tile &t, i32 s) {
  if (s < t.steps) {
    bool second = s >= t.steps1;
    bf16_matrix x = second ? t.ma2 : t.ma, y = second ? t.mb2 : t.mb;
    i32 k0 = (second ? s - t.steps1 : s) * BF16_DEPTH;
    u16 *at = shared<u16>() + s % BF16_STAGES * bf16_step<MT>();
    if (TA) tile_load<BF16_DEPTH, 4 * MT, 256>(at, x, k0, t.m0);
    else tile_load<32 * MT, BF16_DEPTH / 8, 256>(at, x, t.m0, k0);
    if (TB) tile_load<BF16_COLS, BF16_DEPTH / 8, 256>(at + 32 * MT * BF16_DEPTH, y, t.n0, k0);
    else tile_load<BF16_DEPTH, BF16_COLS / 8, 256>(at + 32 * MT * BF16_DEPTH, y, k0, t.n0);
  }
  cp_async_commit();
}

// bf16_multiply adds step s to the sums of the warp whose tile begins at (m, n).
template <bool TA, bool TB, int MT> DEVICE void bf16_multiply(const bf16_tile &t, f32 (&acc)[MT][4][4], i32 s, i32 m, i32 n) {
  const u16 *at = shared<u16>() + s % BF16_STAGES * bf16_step<MT>();
  UNROLL for (int k = 0; k < BF16_DEPTH; k += 16) {
    u32 x[MT][4], y[4][2];
    UNROLL for (int i = 0; i < MT; i++) operand_a<TA ? 4 * MT : BF16_DEPTH / 8, TA>(x[i], at, m + 16 * i, k);
    UNROLL for (int j = 0; j < 4; j += 2) operand_b<TB ? BF16_DEPTH / 8 : BF16_COLS / 8, !TB>(y[j], y[j + 1], at + 32 * MT * BF16_DEPTH, n + 8 * j, k);
    UNROLL for (int i = 0; i < MT; i++) mma_bf16_row<4>(acc[i], x[i], y);
  }
}

// bf16_finish takes the sums of a tile of `rows` rows, in shared memory, to D.
DEVICE void bf16_finish(const gemm_bf16_args &args, i32 rows, i32 m0, i32 n0) {
  const f32 *sums = shared<f32>();
  bool wide_c = rows_wide(args.c, args.dcd, args.ldc), wide_d = rows_wide(args.d, args.dcd, args.ldd);
  for (i32 q = (i32)threadIdx.x; q < rows * (BF16_COLS / 8); q += 256) {
    i32 row = q / (BF16_COLS / 8), col = q % (BF16_COLS / 8) * 8, m = m0 + row, n = n0 + col, left = args.n - n;
    if (m >= args.m || left <= 0) continue;
    f32 v[8], c[8];
    load8(sums, FLOAT32, row * BF16_OUT + col, (i64)rows * BF16_OUT, v);
    UNROLL for (int i = 0; i < 8; i++) v[i] = args.alpha * v[i];
    if (args.dropped) {
      u32 a, b;
      uniform_row((u32)args.keys[m], args.salt, a, b);
      UNROLL for (int i = 0; i < 8; i++) v[i] = uniform_at(a, b, (u32)(n + i)) < args.rate ? 0.0f : v[i];
    }
    if (args.beta != 0) {
      load_up_to8(args.c, args.dcd, (i64)m * args.ldc + n, left, wide_c, c);
      UNROLL for (int i = 0; i < 8; i++) v[i] = fmaf(args.beta, c[i], v[i]);
    }
    if (args.bias) UNROLL for (int i = 0; i < 8; i++) v[i] += i < left ? load(args.bias, args.dbias, n + i) : 0.0f;
    store_up_to8(args.d, args.dcd, (i64)m * args.ldd + n, left, wide_d, v);
  }
}

template <bool TA, bool TB, int MT> DEVICE void gemm_bf16(const gemm_bf16_args &args) {
  bf16_tile t;
  const i32 rows = 32 * MT;
  i32 across = (args.n + BF16_COLS - 1) / BF16_COLS, down = (args.m + rows - 1) / rows;
  i32 group = (i32)blockIdx.x / (BF16_GROUP * across), in = (i32)blockIdx.x % (BF16_GROUP * across);
  i32 high = down - group * BF16_GROUP < BF16_GROUP ? down - group * BF16_GROUP : BF16_GROUP;
  t.m0 = (group * BF16_GROUP + in % high) * rows;
  t.n0 = in / high * BF16_COLS;
  t.ma = bf16_matrix_of(args.a, args.lda, TA ? args.k : args.m, TA ? args.m : args.k);
  t.mb = bf16_matrix_of(args.b, args.ldb, TB ? args.n : args.k, TB ? args.k : args.n);
  t.ma2 = bf16_matrix_of(args.a2, args.lda2, TA ? args.k2 : args.m, TA ? args.m : args.k2);
  t.mb2 = bf16_matrix_of(args.b2, args.ldb2, TB ? args.n : args.k2, TB ? args.k2 : args.n);
  t.steps1 = (args.k + BF16_DEPTH - 1) / BF16_DEPTH;
  t.steps = t.steps1 + (args.k2 + BF16_DEPTH - 1) / BF16_DEPTH;

  i32 warp = (i32)threadIdx.x / 32, lane = (i32)threadIdx.x % 32, m = warp / 4 * 16 * MT, n = warp % 4 * 32;
  f32 acc[MT][4][4];
  UNROLL for (int i = 0; i < MT; i++) UNROLL for (int j = 0; j < 4; j++) UNROLL for (int q = 0; q < 4; q++) acc[i][j][q] = 0;
  for (i32 s = 0; s < BF16_STAGES - 1; s++) bf16_load<TA, TB, MT>(t, s);
  for (i32 s = 0; s < t.steps; s++) {
    cp_async_wait<BF16_STAGES - 2>();
    __syncthreads();
    bf16_load<TA, TB, MT>(t, s + BF16_STAGES - 1);
    bf16_multiply<TA, TB, MT>(t, acc, s, m, n);
  }
  cp_async_wait<0>();
  __syncthreads();
  f32 *sums = shared<f32>();
  UNROLL for (int i = 0; i < MT; i++) UNROLL for (int j = 0; j < 4; j++) UNROLL for (int q = 0; q < 4; q++)
    sums[(m + 16 * i + lane / 4 + q / 2 * 8) * BF16_OUT + n + 8 * j + lane % 4 * 2 + q % 2] = acc[i][j][q];
  __syncthreads();
  bf16_finish(args, rows, t.m0, t.n0);
}

// hot
KERNEL(gemm_bf16_nn_128, gemm_bf16_args, 256, 2) { gemm_bf16<false, false, 4>(args); }
KERNEL(gemm_bf16_nt_128, gemm_bf16_args, 256, 2) { gemm_bf16<false, true, 4>(args); }
KERNEL(gemm_bf16_tn_128, gemm_bf16_args, 256, 2) { gemm_bf16<true, false, 4>(args); }
KERNEL(gemm_bf16_tt_128, gemm_bf16_args, 256, 2) { gemm_bf16<true, true, 4>(args); }
KERNEL(gemm_bf16_nn_64, gemm_bf16_args, 256, 2) { gemm_bf16<false, false, 2>(args); }
KERNEL(gemm_bf16_nt_64, gemm_bf16_args, 256, 2) { gemm_bf16<false, true, 2>(args); }
KERNEL(gemm_bf16_tn_64, gemm_bf16_args, 256, 2) { gemm_bf16<true, false, 2>(args); }
KERNEL(gemm_bf16_tt_64, gemm_bf16_args, 256, 2) { gemm_bf16<true, true, 2>(args); }
