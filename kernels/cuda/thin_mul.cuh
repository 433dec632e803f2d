// y (T,r) = alpha drop(x) op(w) for a thin result in bfloat16: LoRA's x Aᵀ with w = A (r,K), and g B with w = B (K,r). y is
// float32 as it is, if wanted; sy is bfloat16 of scale y, with rows of 16, 32, 64 or 128 elements, zeros behind r: the operand of the
// products that follow.
//
// 4 warps make 32 rows: at 4096 tokens 128 blocks, and x is read once. A step is 128 k, of which each warp takes 32 and so
// has sums of its own, which are added in the order of the warps at the end. Steps are on their way by cp.async: 4 of 12 KB
// for r <= 16, 4 of 16 KB to 32, 3 of 24 KB to 64, 2 of 40 KB to 128. Bound by reading x: 2r products an element of 2 bytes.
// Registers: the sums are r of them, so no more than 255 for r = 128.
#pragma once
#include "gemm_bf16.cuh"

struct thin_mul_args {
  const void *x, *w;
  const i32 *keys;
  f32 *y;
  u16 *sy;
  i64 ldx, ldw;
  i32 rows, k, r;
  f32 alpha, scale;
  u32 salt;
  f32 rate;
  i32 pad;
};

enum { THIN_ROWS = 32, THIN_DEPTH = 128 };

// The rows of x that a lane's operands are of: l/4 + 8j of the tile.
struct thin_rows { u32 a[4], b[4]; };

// thin_drop sets to 0 what dropout drops of an operand of rows 16h on, whose first column is k.
DEVICE void thin_drop(u32 (&x)[4], const thin_rows &rows, int h, u32 k, f32 rate) {
  k += threadIdx.x % 4 * 2;
  UNROLL for (int i = 0; i < 4; i++) {
    u32 a = rows.a[2 * h + i % 2], b = rows.b[2 * h + i % 2], at = k + i / 2 * 8;
    if (uniform_at(a, b, at) < rate) x[i] &= 0xffff0000u;
    if (uniform_at(a, b, at + 1) < rate) x[i] &= 0xffffu;
  }
}

// thin_mul makes the 32 rows of a block.
template <int R, bool T> DEVICE void thin_mul(const thin_mul_args &args, i32 block) {
  const int stages = R <= 32 ? 4 : R == 64 ? 3 : 2, size_x = THIN_ROWS * THIN_DEPTH, size = size_x + R * THIN_DEPTH;
  bf16_matrix x = bf16_matrix_of(args.x, args.ldx, args.rows, args.k);
  bf16_matrix w = bf16_matrix_of(args.w, args.ldw, T ? args.r : args.k, T ? args.k : args.r);
  i32 m0 = block * THIN_ROWS, steps = (args.k + THIN_DEPTH - 1) / THIN_DEPTH;
  i32 warp = (i32)threadIdx.x / 32, lane = (i32)threadIdx.x % 32;
  thin_rows state;
  if (args.keys) UNROLL for (int j = 0; j < 4; j++) {
    i32 row = m0 + lane / 4 + 8 * j;
    uniform_row(row < args.rows ? (u32)args.keys[row] : 0, args.salt, state.a[j], state.b[j]);
  }
  f32 acc[2][R / 8][4];
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < R / 8; j++) UNROLL for (int q = 0; q < 4; q++) acc[i][j][q] = 0;
  for (i32 s = 0; s < steps + stages - 1; s++) {
    if (s >= stages - 1) {
      cp_async_wait<stages - 2>();
      __syncthreads();
    }
    if (s < steps) {
      u16 *at = shared<u16>() + s % stages * size;
      tile_load<THIN_ROWS, THIN_DEPTH / 8, 128>(at, x, m0, s * THIN_DEPTH);
      if (T) tile_load<R, THIN_DEPTH / 8, 128>(at + size_x, w, 0, s * THIN_DEPTH);
      else tile_load<THIN_DEPTH, R / 8, 128>(at + size_x, w, s * THIN_DEPTH, 0);
    }
    cp_async_commit();
    if (s < stages - 1) continue;
    i32 now = s - (stages - 1);
    const u16 *at = shared<u16>() + now % stages * size;
    UNROLL for (int k = 0; k < 32; k += 16) {
      u32 a[2][4], b[R / 8][2];
      i32 from = warp * 32 + k;
      UNROLL for (int i = 0; i < 2; i++) {
        operand_a<THIN_DEPTH / 8, false>(a[i], at, 16 * i, from);
        if (args.keys) thin_drop(a[i], state, i, (u32)(now * THIN_DEPTH + from), args.rate);
      }
      UNROLL for (int j = 0; j < R / 8; j += 2)
        operand_b<T ? THIN_DEPTH / 8 : R / 8, !T>(b[j], b[j + 1], at + size_x, 8 * j, from);
      UNROLL for (int i = 0; i < 2; i++) mma_bf16_row<R / 8>(acc[i], a[i], b);
    }
  }
  cp_async_wait<0>();
  __syncthreads();
  f32 *sums = shared<f32>(); // (warp, row, column)
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < R / 8; j++) UNROLL for (int q = 0; q < 4; q++)
    sums[(warp * THIN_ROWS + 16 * i + lane / 4 + q / 2 * 8) * R + 8 * j + lane % 4 * 2 + q % 2] = acc[i][j][q];
  __syncthreads();
  for (i32 q = (i32)threadIdx.x; q < THIN_ROWS * R; q += 128) {
    i32 row = m0 + q / R, col = q % R;
    if (row >= args.rows) break;
    f32 v = sums[q];
    UNROLL for (int s = 1; s < 4; s++) v += sums[s * THIN_ROWS * R + q];
    v = args.alpha * v;
    if (args.y && col < args.r) args.y[(i64)row * args.r + col] = v;
    args.sy[(i64)row * R + col] = col < args.r ? f32_bf16(args.scale * v) : (u16)0;
  }
}
