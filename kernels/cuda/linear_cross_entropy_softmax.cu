// Losses of kernels.LinearCrossEntropy and their gradient by the logits, a block a token. Reads the logits twice and writes
// the gradient in their place: in bfloat16 10 bytes a logit.
#include "device.cuh"

struct lce_softmax_args {
  f32 *logits;          // (rows, ld): the gradient as float32, or as bfloat16 with rows 2 ld apart
  const i32 *index;     // (rows): the row's token, -1 for none
  const i32 *targets;   // by token
  const f32 *weights;   // by token
  f32 *nll;             // by token, or null
  f64 *losses;          // (rows)
  i64 ld;
  i32 vocab, dz;        // dz: dtype of the gradient, 0 for none
  f32 cap, pad;         // 0 for none
};

// Probabilities below e^LEAST count as 0 in the gradient, as on the processor.
#define LEAST (-60.0f)

// lce_cap makes the capped logit of z and the slope of that.
DEVICE f32 lce_cap(f32 cap, f32 z, f32 &slope) {
  slope = 1.0f;
  if (!(cap > 0.0f)) return z;
  f32 t = tanhf(z / cap);
  slope = 1.0f - t * t;
  return cap * t;
}

struct softmax_stats {
  f32 max, sum; // sum of exp(z - max)
};

// The statistics of the row, in every thread. A NaN passes by the maximum and reaches the sum.
DEVICE softmax_stats lce_stats(const lce_softmax_args &args, const f32 *z, f32 *scratch) {
  softmax_stats s = {-3.4028235e38f, 0.0f};
  for (i32 c = (i32)threadIdx.x * 8; c < args.vocab; c += (i32)blockDim.x * 8) {
    f32 v[8], slope, top = s.max;
    load8(z, FLOAT32, c, args.vocab, v);
    UNROLL for (int j = 0; j < 8; j++) {
      v[j] = c + j < args.vocab ? lce_cap(args.cap, v[j], slope) : bits_f32(0xff800000u);
      top = fmaxf(top, v[j]);
    }
    s.sum *= expf(s.max - top);
    s.max = top;
    UNROLL for (int j = 0; j < 8; j++) s.sum += expf(v[j] - top);
  }
  f32 top = block_max(s.max, scratch);
  return softmax_stats{top, block_sum(s.sum * expf(s.max - top), scratch)};
}

// No gradient: the row's part in all sums is 0.
DEVICE void lce_nothing(const lce_softmax_args &args, f32 *z) {
  f32 v[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (i32 c = (i32)threadIdx.x * 8; args.dz && c < args.vocab; c += (i32)blockDim.x * 8) store8(z, args.dz, c, args.vocab, v);
}

// hot
KERNEL(lce_softmax, lce_softmax_args, 512, 2) {
  i32 token = args.index[blockIdx.x];
  f32 *z = args.logits + blockIdx.x * args.ld, slope;
  if (token < 0) {
    if (threadIdx.x == 0) args.losses[blockIdx.x] = 0;
    lce_nothing(args, z);
    return;
  }
  i32 target = args.targets[token];
  f32 weight = args.weights[token], zt = bits_f32(0x7fffffff); // a target that is not a word: NaN
  if (threadIdx.x == 0 && target >= 0 && target < args.vocab) zt = lce_cap(args.cap, z[target], slope);
  softmax_stats s = lce_stats(args, z, shared<f32>());
  if (threadIdx.x == 0) {
    f64 nll = (f64)s.max + log((f64)s.sum) - (f64)zt;
    args.losses[blockIdx.x] = (f64)weight * nll;
    if (args.nll) args.nll[token] = (f32)nll;
  }
  if (!args.dz) return;
  f32 inverse = 1.0f / s.sum, least = LEAST + logf(s.sum);
  for (i32 first = 0; first < args.vocab; first += (i32)blockDim.x * 8) {
    i32 c = first + (i32)threadIdx.x * 8;
    f32 v[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    if (c < args.vocab) load8(z, FLOAT32, c, args.vocab, v);
    UNROLL for (int j = 0; j < 8; j++) {
      f32 e = lce_cap(args.cap, v[j], slope) - s.max, p = e < least ? 0.0f : expf(e) * inverse;
      v[j] = weight * (c + j == target ? p - 1.0f : p) * slope;
    }
    if (args.dz == BFLOAT16) __syncthreads(); // what is written lies where others of this step read
    if (c < args.vocab) store8(z, args.dz, c, args.vocab, v);
  }
}
