// Attention in float32, for any head size to 256: what its passes share. A block has 256 threads and tiles of B rows, 32 or
// 16, so that four tiles of the largest head size fit into the 99 KiB that every GPU has. L = 256/B threads, all of one warp,
// have a row of a B x B tile of scores: columns lane, lane+L, ..., and NA elements of a row of sums, likewise.
#pragma once
#include "attention.cuh"

// att_tile reads rows t0 to t0+B-1 of head `head` into a tile; padding and rows from end on are 0, whatever they hold.
template <int B>
DEVICE void att_tile(f32 *tile, i32 stride, const void *from, i32 dtype, i32 heads, i32 head, i32 t0, i32 end, i32 dh, const i32 *pad) {
  for (i32 r = threadIdx.x / 32; r < B; r += 8) {
    i32 t = t0 + r;
    bool keep = t < end && !(pad && pad[t] < 0);
    i64 at = ((i64)t * heads + head) * dh;
    for (i32 d = threadIdx.x % 32; d < dh; d += 32) tile[r * stride + d] = keep ? load(from, dtype, at + d) : 0.0f;
  }
}

DEVICE f32 att_dot(const f32 *a, const f32 *b, i32 n) {
  f32 sum = 0;
  for (i32 d = 0; d < n; d++) sum = fmaf(a[d], b[d], sum);
  return sum;
}

// att_add is sums += p . tile, where p are the B elements of the thread's row.
template <int B, int NA>
DEVICE void att_add(f32 (&sums)[NA], const f32 *p, const f32 *tile, i32 stride, i32 dh) {
  constexpr int L = 256 / B;
  UNROLL for (int i = 0; i < NA; i++) {
    i32 d = threadIdx.x % L + L * i;
    if (d >= dh) continue;
    f32 sum = sums[i];
    for (int c = 0; c < B; c++) sum = fmaf(p[c], tile[c * stride + d], sum);
    sums[i] = sum;
  }
}

// att_store_row writes the thread's part of a row, times scale; 0 where it is padding.
template <int B, int NA>
DEVICE void att_store_row(void *to, i32 dtype, i64 at, i32 dh, const f32 (&sums)[NA], f32 scale, bool keep) {
  constexpr int L = 256 / B;
  UNROLL for (int i = 0; i < NA; i++) {
    i32 d = threadIdx.x % L + L * i;
    if (d < dh) store(to, dtype, at + d, keep ? sums[i] * scale : 0.0f);
  }
}
