// What a block has under way of sm_90a's: barriers in shared memory, loads by TMA, products by wgmma.
#pragma once
#include "core.h"
#include "tensormap.h"

namespace emu {

struct Mbarrier {
  u32 offset; // in shared memory
  u32 arrivals, pending;
  int32_t bytes = 0; // still to come
  u32 parity = 0;
  bool fenced = false;
  std::vector<Thread *> waiters;
};

struct Load {
  u8 *dst;
  const emu_tensor_map *map;
  int32_t at[5];
  u32 bytes, bar; // bar: its offset
};

// Accumulator is d of a warp while products are under way that write it: what the program would read is NaN.
struct Accumulator {
  float *d[32];
  u32 n, pending;
  std::vector<float> rows; // (16, n)
};

struct Product {
  u32 n, accumulate, ta, tb, group;
  u64 a, b;
  bool registers;
  u32 regs[32][4];
  float *d0; // of lane 0: whose accumulator it is
  const void *site;
};

// Products is what one warp has under way.
struct Products {
  std::vector<Product> queue;
  std::vector<Accumulator> accumulators;
  u32 group = 0;
  bool fenced = false;
  u64 history = 0; // of all products: the warps of a warpgroup make the same
};

struct Hopper {
  std::vector<u8> seen; // shared memory as wgmma and TMA see it
  std::vector<Mbarrier> barriers;
  std::vector<Load> loads;
  Products products[32];
  float b[16 * 256]; // of the product that is being made: b[k][column]
};

Hopper &hopper(Block &b);

} // namespace emu
