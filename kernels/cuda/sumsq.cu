// kernels.SumSq: squares added in float64, each block's in a fixed tree, then the blocks' of a tensor in another. One tensor
// or a table of them. Reads every element once.
#include "batch.cuh"

struct sumsq_args {
  const void *x;
  f64 *partial; // one a block
  f32 *s;
  i64 n, first;
  const sumsq_args *all;
  i32 count, dx;
};

// hot
KERNEL(sumsq, sumsq_args, 256, 4) {
  sumsq_args a = tensor_of(args, blockIdx.x);
  i64 block = (i64)blockIdx.x - a.first, begin = block * BLOCK_ELEMS;
  i64 n = begin + BLOCK_ELEMS < a.n ? begin + BLOCK_ELEMS : a.n;
  f64 sum[2] = {0, 0};
  for (i64 at = begin + threadIdx.x * 8; at < n; at += 2 * 256 * 8) {
    f32 x[8], y[8];
    raw8 rx = fetch8(a.x, a.dx, at, n), ry = fetch8(a.x, a.dx, at + 256 * 8, n);
    widen8(rx, a.dx, x);
    widen8(ry, a.dx, y);
    UNROLL for (int i = 0; i < 8; i++) {
      sum[0] += (f64)x[i] * (f64)x[i];
      sum[1] += (f64)y[i] * (f64)y[i];
    }
  }
  f64 total = block_sum(sum[0] + sum[1], shared<f64>());
  if (threadIdx.x == 0) a.partial[block] = total;
}

// A block a tensor.
// hot
KERNEL(sumsq_finish, sumsq_args, 256, 4) {
  sumsq_args a = args.all ? args.all[blockIdx.x] : args;
  i64 blocks = (a.n + BLOCK_ELEMS - 1) / BLOCK_ELEMS;
  f64 sum = 0;
  for (i64 i = threadIdx.x; i < blocks; i += 256) sum += a.partial[i];
  sum = block_sum(sum, shared<f64>());
  if (threadIdx.x == 0) *a.s = (f32)sum;
}
