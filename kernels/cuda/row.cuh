// Rows of a matrix, of any length: 16 bytes an access where rows begin at multiples of 16 bytes, otherwise by element.
#pragma once
#include "device.cuh"

// row_fetch8, row_load8 and row_store8 are fetch8, load8 and store8 of columns c to c+7 of a row of d columns that begins at
// element `at`; c is a multiple of 8. Columns from d on are 0 and not written.
DEVICE raw8 row_fetch8(const void *p, i32 dtype, i64 at, i32 c, i32 d) {
  if (d % 8 == 0) return fetch8(p, dtype, at + c, at + d);
  raw8 r = {{0, 0, 0, 0, 0, 0, 0, 0}};
  UNROLL for (int j = 0; j < 8; j++) {
    if (c + j >= d) continue;
    if (dtype == BFLOAT16) r.w[j / 2] |= (u32)((const u16 *)p)[at + c + j] << j % 2 * 16;
    else r.w[j] = f32_bits(((const f32 *)p)[at + c + j]);
  }
  return r;
}
DEVICE void row_load8(const void *p, i32 dtype, i64 at, i32 c, i32 d, f32 (&v)[8]) {
  widen8(row_fetch8(p, dtype, at, c, d), dtype, v);
}

DEVICE void row_store8(void *p, i32 dtype, i64 at, i32 c, i32 d, const f32 (&v)[8]) {
  if (d % 8 == 0) {
    store8(p, dtype, at + c, at + d, v);
  } else {
    UNROLL for (int j = 0; j < 8; j++) if (c + j < d) store(p, dtype, at + c + j, v[j]);
  }
}

// row_of is the row of a thread of a block of 256 where `lanes` threads, a power of two, share one, and which of them it is. A
// division in 64 bits, which a GPU has no instruction for, would be as much work as the row.
DEVICE i64 row_of(i32 lanes, i32 &lane) {
  lane = (i32)threadIdx.x & (lanes - 1);
  return (i64)blockIdx.x * (256u / (u32)lanes) + threadIdx.x / (u32)lanes;
}

// row_sum leaves in every thread the sum over the threads of its row, in a fixed order: `lanes` neighbours of a warp, a
// power of two; or, for lanes > 32, a block of 256. scratch is shared memory for 8 numbers that nothing else uses.
DEVICE f32 row_sum(f32 v, i32 lanes, f32 *scratch) {
  for (i32 d = lanes < 32 ? lanes / 2 : 16; d > 0; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
  if (lanes <= 32) return v;
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  v = scratch[0];
  UNROLL for (int w = 1; w < 8; w++) v += scratch[w];
  return v;
}
