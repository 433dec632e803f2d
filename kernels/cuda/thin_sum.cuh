// y[i, j] = alpha times the sum over tokens t of drop(x)[t, i] p[t, j] for a thin p in bfloat16: the gradients of LoRA's A
// (x the input, p = bf16(Scale g B)) and B (x = g, p = bf16(Scale xA)). p has rows of 16, 32, 64 or 128 elements. A block sums
// `block` tokens, 512 at least; where there are more, each block has a y of its own, and sum_partials adds them in order.
//
// 4 warps make 128 columns of x by r: x is read once, in steps of 32 tokens, four of which are in shared memory or on their
// way by cp.async: 36 KB for r <= 16 up to 64 KB for 128. 256 blocks at 4096 tokens of 4096 values. Bound by reading x.
// Registers: the sums are r of them.
#pragma once
#include "gemm_bf16.cuh"

struct thin_sum_args {
  const void *x, *p;
  const i32 *keys;
  f32 *y;
  i64 ldx, ldp, along_x, along_p, piece;
  i32 rows, cols, r, block;
  f32 alpha;
  u32 salt;
  f32 rate;
  i32 pad;
};

enum { SUM_COLS = 128, SUM_DEPTH = 32, SUM_STAGES = 4 };

// sum_drop sets to 0 what dropout drops of an operand (column of x, token), whose first column is col; rows + 2t are the
// states of its tokens.
DEVICE void sum_drop(u32 (&x)[4], const u32 *rows, i32 t, u32 col, f32 rate) {
  t += (i32)threadIdx.x % 4 * 2;
  col += threadIdx.x % 32 / 4;
  UNROLL for (int i = 0; i < 4; i++) {
    const u32 *s = rows + 2 * (t + i / 2 * 8);
    u32 at = col + i % 2 * 8;
    if (uniform_at(s[0], s[1], at) < rate) x[i] &= 0xffff0000u;
    if (uniform_at(s[2], s[3], at) < rate) x[i] &= 0xffffu;
  }
}

// thin_sum makes a block's 128 columns, of a piece of the tokens.
template <int R> DEVICE void thin_sum(const thin_sum_args &args, i32 block, i32 piece) {
  const int size_x = SUM_DEPTH * SUM_COLS, size = size_x + SUM_DEPTH * R;
  i32 c0 = block * SUM_COLS, t0 = piece * args.block;
  i32 rows = args.rows - t0 < args.block ? args.rows - t0 : args.block, steps = (rows + SUM_DEPTH - 1) / SUM_DEPTH;
  bf16_matrix x = bf16_matrix_of((const u16 *)args.x + t0 * args.ldx, args.ldx, rows, args.cols);
  bf16_matrix p = bf16_matrix_of((const u16 *)args.p + t0 * args.ldp, args.ldp, rows, R);
  u32 *states = shared<u32>(SUM_STAGES * size * 2); // of the tokens of a step, by stage
  i32 warp = (i32)threadIdx.x / 32, lane = (i32)threadIdx.x % 32;
  f32 acc[2][R / 8][4];
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < R / 8; j++) UNROLL for (int q = 0; q < 4; q++) acc[i][j][q] = 0;
  for (i32 s = 0; s < steps + SUM_STAGES - 1; s++) {
    if (s >= SUM_STAGES - 1) {
      cp_async_wait<SUM_STAGES - 2>();
      __syncthreads();
    }
    if (s < steps) {
      u16 *at = shared<u16>() + s % SUM_STAGES * size;
      tile_load<SUM_DEPTH, SUM_COLS / 8, 128>(at, x, s * SUM_DEPTH, c0);
      tile_load<SUM_DEPTH, R / 8, 128>(at + size_x, p, s * SUM_DEPTH, 0);
      if (args.keys && threadIdx.x < SUM_DEPTH) {
        i32 t = s * SUM_DEPTH + (i32)threadIdx.x;
        u32 *state = states + (s % SUM_STAGES * SUM_DEPTH + threadIdx.x) * 2;
        uniform_row(t < rows ? (u32)args.keys[t0 + t] : 0, args.salt, state[0], state[1]);
      }
    }
    cp_async_commit();
    if (s < SUM_STAGES - 1) continue;
    i32 now = s - (SUM_STAGES - 1);
    const u16 *at = shared<u16>() + now % SUM_STAGES * size;
    UNROLL for (int k = 0; k < SUM_DEPTH; k += 16) {
      u32 a[2][4], b[R / 8][2];
      UNROLL for (int i = 0; i < 2; i++) {
        operand_a<SUM_COLS / 8, true>(a[i], at, warp * 32 + 16 * i, k);
        if (args.keys) sum_drop(a[i], states, now % SUM_STAGES * SUM_DEPTH + k, (u32)(c0 + warp * 32 + 16 * i), args.rate);
      }
      UNROLL for (int j = 0; j < R / 8; j += 2) operand_b<R / 8, true>(b[j], b[j + 1], at + size_x, 8 * j, k);
      UNROLL for (int i = 0; i < 2; i++) mma_bf16_row<R / 8>(acc[i], a[i], b);
    }
  }
  cp_async_wait<0>();
  f32 *y = args.y + piece * args.piece;
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < R / 8; j++) UNROLL for (int q = 0; q < 4; q++) {
    i32 col = c0 + warp * 32 + 16 * i + lane / 4 + q / 2 * 8, rank = 8 * j + lane % 4 * 2 + q % 2;
    if (col < args.cols && rank < args.r) y[col * args.along_x + rank * args.along_p] = args.alpha * acc[i][j][q];
  }
}
