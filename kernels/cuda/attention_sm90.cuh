// What the attention kernels for Hopper share: tiles that TMA loads and wgmma reads.
//
// A tile of rows of DH elements is DH/64 parts side by side, each of all its rows of 64 elements, swizzled by 128 bytes. Its
// tensor map is of (T, heads, DH) with boxes of 64 elements, one head and the tile's rows; rows behind the last are 0.
#pragma once
#include "attention_mma.cuh"
#include "device_sm90.cuh"

// att_tma begins to load rows t0 on of head `head` to a tile of ROWS rows. One thread calls it, after mbarrier_expect.
template <int DH, int ROWS> DEVICE void att_tma(u8 *tile, const tensor_map *map, i32 head, i32 t0, u64 *bar) {
  UNROLL for (int part = 0; part < DH / 64; part++) tma_load_3d(tile + part * ROWS * 128, map, part * 64, head, t0, bar);
}

// att_give says that this warp has read a tile: an arrival a warp, as those of a barrier go one after the other.
DEVICE void att_give(u64 *empty) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) mbarrier_arrive(empty);
}

// att_along and att_down are the descriptors of a tile's rows from r (a multiple of 8) on: with K along the rows, 16*ks
// elements in; and with K down the rows, from row r on.
template <int ROWS> DEVICE u64 att_along(const u8 *tile, i32 r, int ks) {
  return matrix_k(tile + r * 128 + ks / 4 * ROWS * 128) + ks % 4 * 2;
}
template <int ROWS> DEVICE u64 att_down(const u8 *tile, i32 r) { return matrix_mn(tile + r * 128, ROWS * 128); }

// att_clean makes the rows of a loaded tile 0 that lie outside of [0, end) or are padding, whatever they hold: products of 0
// and NaN would spread it. Row r is thread r's. wgmma sees it after fence_async and a barrier.
template <int DH, int ROWS> DEVICE void att_clean(u8 *tile, i32 thread, i32 t0, i32 end, const i32 *marks) {
  if ((u32)thread >= ROWS || (t0 + thread < end && !(marks && marks[t0 + thread] < 0))) return;
  UNROLL for (int part = 0; part < DH / 64; part++)
    for (int c = 0; c < 8; c++) *(u32x4 *)(tile + part * ROWS * 128 + thread * 128 + c * 16) = u32x4{0, 0, 0, 0};
}
