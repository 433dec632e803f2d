// What the attention kernels share: their arguments, which keys a query sees, and scores.
//
// Row t of a tensor (T, heads, Dh) is at t*heads*Dh. Scores are kept as their multiples of log2(e), so that probabilities
// are powers of 2: FlashAttention-2 (arXiv:2307.08691).
#pragma once
#include "device.cuh"

struct att_args {
  const void *q, *k, *v, *dout;
  void *o, *dq, *dk, *dv;
  f32 *lse;
  i32 *lo, *hi;        // (tokens): query t sees the keys [lo, hi); lo is -1 for padding
  i32 *last;           // (tokens): key t is seen by the queries [t, last)
  const i32 *marks;    // (keys): negative where a key is padding; null = none is
  f32 *stat;           // (heads, rows, 2): log2(e)*lse and do.o of each query, +inf and 0 for padding
  i32 tokens, keys, heads, kv, dh, rows; // rows is tokens rounded up to a multiple of ATT_ROWS
  i32 tq, tk, tv, tdout, to, tdq, tdk, tdv; // dtypes
  f32 scale;           // of the gradients of q and k
  f32 inner, outer;    // see att_score
  i32 capped;
};

enum { ATT_ROWS = 128 };

#define ATT_INF bits_f32(0x7f800000u)
#define ATT_LN2 0.693147180559945309f

// att_score is the score of a product q.k: inner*product, or outer*tanh of it, whose derivative by what tanh is taken of is
// *slope. tanh(x) is 1 - 2/(1 + e^2x), and inner has the 2*log2(e) in it: off by 1e-7, as scores are added, not multiplied.
template <class A> DEVICE f32 att_score(const A &args, f32 product, f32 &slope) {
  slope = 1.0f;
  f32 x = product * args.inner;
  if (!args.capped) return x;
  f32 th = fmaf(-2.0f, rcp_approx(1.0f + exp2_approx(x)), 1.0f);
  slope = fmaf(-th, th, 1.0f);
  return th * args.outer;
}

// att_span is what a tile of queries sees: keys from lo on and before hi are seen by some, those from inner_lo on and before
// inner_hi by all that are not padding.
struct att_span { i32 lo, hi, inner_lo, inner_hi; };

DEVICE i32 warp_min(i32 v) {
  UNROLL for (int d = 16; d > 0; d >>= 1) { i32 w = __shfl_xor_sync(0xffffffffu, v, d); v = w < v ? w : v; }
  return v;
}

// att_queries is the span of queries q0 to q0+n-1; every warp makes it for itself.
template <class A> DEVICE att_span att_queries(const A &args, i32 q0, i32 n) {
  att_span s = {0x7fffffff, 0, 0, 0x7fffffff};
  for (i32 i = q0 + threadIdx.x % 32; i < q0 + n && i < args.tokens; i += 32) {
    i32 lo = args.lo[i], hi = args.hi[i];
    if (lo < 0) continue;
    s.lo = lo < s.lo ? lo : s.lo;
    s.hi = hi > s.hi ? hi : s.hi;
    s.inner_lo = lo > s.inner_lo ? lo : s.inner_lo;
    s.inner_hi = hi < s.inner_hi ? hi : s.inner_hi;
  }
  s.lo = warp_min(s.lo);
  s.hi = -warp_min(-s.hi);
  s.inner_lo = -warp_min(-s.inner_lo);
  s.inner_hi = warp_min(s.inner_hi);
  return s;
}

// att_keys is the queries that see any of the keys k0 to k0+n-1, and (inner) those that see all of them that are not padding.
template <class A> DEVICE att_span att_keys(const A &args, i32 k0, i32 n) {
  att_span s = {0x7fffffff, 0, k0 + n - 1, 0x7fffffff};
  for (i32 j = k0 + threadIdx.x % 32; j < k0 + n && j < args.tokens; j += 32) {
    i32 last = args.last[j];
    if (last <= j) continue; // padding
    s.lo = j < s.lo ? j : s.lo;
    s.hi = last > s.hi ? last : s.hi;
    s.inner_hi = last < s.inner_hi ? last : s.inner_hi;
  }
  s.lo = warp_min(s.lo);
  s.hi = -warp_min(-s.hi);
  s.inner_hi = warp_min(s.inner_hi);
  return s;
}
