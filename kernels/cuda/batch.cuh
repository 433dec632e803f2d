// Tensors that are worked on in one launch: their arguments lie in a table, each with the number of its first block.
#pragma once
#include "device.cuh"

enum { BLOCK_ELEMS = 16 << 10 };

// tensor_of are the arguments that block works on: the last whose first block is not behind it, or args itself where there
// is no table.
template <class T> DEVICE T tensor_of(const T &args, i64 block) {
  if (!args.all) return args;
  i32 lo = 0, hi = args.count - 1;
  while (lo < hi) {
    i32 mid = (lo + hi + 1) / 2;
    if (args.all[mid].first <= block) lo = mid;
    else hi = mid - 1;
  }
  return args.all[lo];
}
