// kernels.LinearCrossEntropy besides its products and linear_cross_entropy_softmax.cu: which tokens count, their rows side by
// side, the sum of the losses. Rows are read and written once.
#include "row.cuh"

struct lce_compact_args {
  const f32 *weights; // (tokens)
  i32 *index;         // (most): tokens of weights other than 0 in ascending order, then -1
  i32 *count;         // how many there are
  i32 tokens, most;
};

// One block.
// hot
KERNEL(lce_compact, lce_compact_args, 1024, 1) {
  i32 *sums = shared<i32>(), thread = (i32)threadIdx.x, count = 0; // a sum a warp
  for (i32 first = 0; first < args.tokens; first += (i32)blockDim.x) {
    i32 t = first + thread;
    u32 learnt = __ballot_sync(0xffffffffu, t < args.tokens && args.weights[t] != 0.0f);
    if (thread % 32 == 0) sums[thread / 32] = __popc(learnt);
    __syncthreads();
    i32 at = count + __popc(learnt & ((1u << thread % 32) - 1));
    for (i32 w = 0; w < (i32)blockDim.x / 32; w++) {
      if (w < thread / 32) at += sums[w];
      count += sums[w];
    }
    if (learnt >> thread % 32 & 1 && at < args.most) args.index[at] = t;
    __syncthreads();
  }
  for (i32 i = count + thread; i < args.most; i += (i32)blockDim.x) args.index[i] = -1;
  if (thread == 0) *args.count = count;
}

struct lce_rows_args {
  const void *x;
  void *y;
  const i32 *index;
  i64 ldx, ldy; // elements from row to row, multiples of 8 where d is one
  i32 d, dx, dy, scatter;
};

// Row i of y is row index[i] of x, 0 for -1; to scatter, row index[i] of y is row i of x. Reads and writes each once.
// hot
KERNEL(lce_rows, lce_rows_args, 128, 4) {
  i64 i = blockIdx.x, t = args.index[i], from = args.scatter ? i : t, to = args.scatter ? t : i;
  if (to < 0) return;
  for (i32 c = (i32)threadIdx.x * 8; c < args.d; c += 2 * 1024) {
    raw8 r[2] = {{{0, 0, 0, 0, 0, 0, 0, 0}}, {{0, 0, 0, 0, 0, 0, 0, 0}}};
    UNROLL for (int k = 0; k < 2; k++)
      if (from >= 0 && c + k * 1024 < args.d) r[k] = row_fetch8(args.x, args.dx, from * args.ldx, c + k * 1024, args.d);
    UNROLL for (int k = 0; k < 2; k++) {
      if (c + k * 1024 >= args.d) continue;
      f32 v[8];
      widen8(r[k], args.dx, v);
      row_store8(args.y, args.dy, to * args.ldy, c + k * 1024, args.d, v);
    }
  }
}

struct lce_loss_args {
  const f64 *losses; // (most)
  const i32 *count;
  f32 *loss;
  i32 most, pad;
};

// One block: the sum of all tokens' losses in a fixed tree. NaN where more tokens count than the plan was made for.
// hot
KERNEL(lce_loss, lce_loss_args, 256, 1) {
  f64 sum = 0;
  for (i32 i = (i32)threadIdx.x; i < args.most; i += 256) sum += args.losses[i];
  sum = block_sum(sum, shared<f64>());
  if (threadIdx.x == 0) *args.loss = *args.count > args.most ? bits_f32(0x7fffffff) : (f32)sum;
}
