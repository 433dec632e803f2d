// Tiles of bfloat16 matrices in shared memory, as the products by mma read them: gemm_bf16.cu and thin*.cu.
#pragma once
#include "device_sm80.cuh"

// A matrix in memory; elements outside of it are 0.
struct bf16_matrix {
  const u16 *p;
  i64 ld;
  i32 rows, cols;
  bool wide; // every row begins at a multiple of 16 bytes
};

DEVICE bf16_matrix bf16_matrix_of(const void *p, i64 ld, i32 rows, i32 cols) {
  return bf16_matrix{(const u16 *)p, ld, rows, cols, ((u64)p | (u64)(2 * ld)) % 16 == 0};
}

// tile_at is where chunk c (8 elements) of row r of a tile lies whose rows have CHUNKS of them: permuted so that the eight
// rows that an ldmatrix reads at once are in different banks.
template <int CHUNKS> DEVICE i32 tile_at(i32 r, i32 c) {
  i32 s = CHUNKS >= 8 ? r & 7 : CHUNKS == 4 ? r >> 1 & 3 : r >> 2 & 1;
  return (r * CHUNKS + (c ^ s)) * 8;
}

// chunk_load brings elements c to c+7 of row r to dst: without waiting where rows begin at multiples of 16 bytes.
DEVICE void chunk_load(u16 *dst, const bf16_matrix &m, i32 r, i32 c) {
  i32 n = r < m.rows ? m.cols - c : 0;
  n = n < 0 ? 0 : n > 8 ? 8 : n;
  const u16 *src = m.p + (n > 0 ? (i64)r * m.ld + c : 0);
  if (m.wide) {
    cp_async16(dst, src, (u32)(2 * n));
    return;
  }
  u32 w[4];
  UNROLL for (int i = 0; i < 4; i++) w[i] = (2 * i < n ? (u32)src[2 * i] : 0) | (2 * i + 1 < n ? (u32)src[2 * i + 1] << 16 : 0);
  *(u32x4 *)dst = u32x4{w[0], w[1], w[2], w[3]};
}

// tile_load brings ROWS rows of CHUNKS chunks from (r, c) on to a tile; THREADS threads share the work.
template <int ROWS, int CHUNKS, int THREADS> DEVICE void tile_load(u16 *tile, const bf16_matrix &m, i32 r, i32 c) {
  UNROLL for (int i = 0; i < ROWS * CHUNKS; i += THREADS) {
    i32 q = i + (i32)threadIdx.x;
    if (ROWS * CHUNKS % THREADS == 0 || q < ROWS * CHUNKS)
      chunk_load(tile + tile_at<CHUNKS>(q / CHUNKS, q % CHUNKS), m, r + q / CHUNKS, c + q % CHUNKS * 8);
  }
}

// operand_a is the 16x16 operand (m, k) of an mma from rows m0 on and columns k0 on of a tile (m, k), or, if TRANS, of a tile
// (k, m). operand_b are two operands (k, n), for n0 and n0+8, from a tile (n, k) or, if TRANS, (k, n).
template <int CHUNKS, bool TRANS> DEVICE void operand_a(u32 (&a)[4], const u16 *tile, i32 m0, i32 k0) {
  i32 l = (i32)threadIdx.x % 32;
  if (TRANS) ldmatrix_x4_trans(a, tile + tile_at<CHUNKS>(k0 + l % 8 + l / 16 * 8, m0 / 8 + l / 8 % 2));
  else ldmatrix_x4(a, tile + tile_at<CHUNKS>(m0 + l % 16, k0 / 8 + l / 16));
}
template <int CHUNKS, bool TRANS> DEVICE void operand_b(u32 (&b0)[2], u32 (&b1)[2], const u16 *tile, i32 n0, i32 k0) {
  i32 l = (i32)threadIdx.x % 32;
  u32 r[4];
  if (TRANS) ldmatrix_x4_trans(r, tile + tile_at<CHUNKS>(k0 + l % 16, n0 / 8 + l / 16));
  else ldmatrix_x4(r, tile + tile_at<CHUNKS>(n0 + l % 8 + l / 16 * 8, k0 / 8 + l / 8 % 2));
  b0[0] = r[0]; b0[1] = r[1]; b1[0] = r[2]; b1[1] = r[3];
}

// load_up_to8 and store_up_to8 are the first n elements from at on; wide says that 16 bytes may be taken at once.
DEVICE void load_up_to8(const void *p, i32 dtype, i64 at, i32 n, bool wide, f32 (&v)[8]) {
  if (wide && n >= 8) load8(p, dtype, at, at + 8, v);
  else UNROLL for (int i = 0; i < 8; i++) v[i] = i < n ? load(p, dtype, at + i) : 0.0f;
}
DEVICE void store_up_to8(void *p, i32 dtype, i64 at, i32 n, bool wide, const f32 (&v)[8]) {
  if (wide && n >= 8) store8(p, dtype, at, at + 8, v);
  else UNROLL for (int i = 0; i < 8; i++) if (i < n) store(p, dtype, at + i, v[i]);
}
DEVICE bool rows_wide(const void *p, i32 dtype, i64 ld) { return ((u64)p | (u64)(ld * (dtype == BFLOAT16 ? 2 : 4))) % 16 == 0; }
