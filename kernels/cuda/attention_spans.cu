// Which keys each query sees: what attention, attention_bwd and attention_cached begin with.
#include "attention.cuh"

struct att_spans_args {
  const i32 *segments; // (tokens), or null where there are positions
  const i32 *positions;
  i32 *lo, *hi, *last; // last may be null
  i32 tokens, keys, window, pad;
};

// One block of 1024 threads; each has a piece of the row. The begin of a segment is the last change at or before a token, so
// pieces hand on the last change of all pieces before; ends are handed the other way.
KERNEL(att_spans, att_spans_args, 1024, 1) {
  i32 n = args.tokens, piece = (n + 1023) / 1024, from = (i32)threadIdx.x * piece, to = from + piece < n ? from + piece : n;
  const i32 *seg = args.segments;
  i32 *begins = shared<i32>(), *ends = begins + 1024;
  i32 begin = 0, end = n;
  for (i32 t = from; t < to; t++) {
    if (t > 0 && seg[t] != seg[t - 1]) {
      begin = t;
      if (end == n) end = t;
    }
  }
  begins[threadIdx.x] = begin;
  ends[threadIdx.x] = end;
  __syncthreads();
  for (i32 d = 1; d < 1024; d <<= 1) {
    i32 b = (i32)threadIdx.x >= d ? begins[threadIdx.x - d] : 0;
    i32 e = (i32)threadIdx.x + d < 1024 ? ends[threadIdx.x + d] : n;
    __syncthreads();
    if (b > begins[threadIdx.x]) begins[threadIdx.x] = b;
    if (e < ends[threadIdx.x]) ends[threadIdx.x] = e;
    __syncthreads();
  }
  begin = threadIdx.x > 0 ? begins[threadIdx.x - 1] : 0;
  i32 window = args.window > 0 ? args.window : n;
  for (i32 t = from; t < to; t++) {
    if (t > 0 && seg[t] != seg[t - 1]) begin = t;
    bool padding = seg[t] < 0;
    args.lo[t] = padding ? -1 : begin > t + 1 - window ? begin : t + 1 - window;
    args.hi[t] = padding ? 0 : t + 1;
  }
  if (!args.last) return;
  end = threadIdx.x < 1023 ? ends[threadIdx.x + 1] : n;
  for (i32 t = to - 1; t >= from; t--) {
    if (t + 1 < to && seg[t + 1] != seg[t]) end = t + 1;
    args.last[t] = seg[t] < 0 ? t : end - t < window ? end : t + window;
  }
}

// A query at position p of a cache sees the rows up to it. A position behind the cache, which the contract has not, sees
// what there is.
KERNEL(att_spans_cached, att_spans_args, 256, 1) {
  i32 t = blockIdx.x * 256 + threadIdx.x;
  if (t >= args.tokens) return;
  i32 p = args.positions[t], hi = p < args.keys ? p + 1 : args.keys;
  i32 lo = args.window > 0 && hi > args.window ? hi - args.window : 0;
  args.lo[t] = p < 0 ? -1 : lo;
  args.hi[t] = p < 0 ? 0 : hi;
}

struct att_cache_args {
  const void *k, *v;
  void *kcache, *vcache;
  const i32 *positions;
  i64 columns;
  i32 tokens, keys;
  i32 tk, tv, tkcache, tvcache;
};

// Row t of k and v goes to row positions[t] of the caches: a block a token. Of tokens with one position the last counts.
KERNEL(att_cache, att_cache_args, 256, 1) {
  i32 t = blockIdx.x, p = args.positions[t];
  if (p < 0 || p >= args.keys) return;
  i32 later = 0;
  for (i32 u = t + 1 + threadIdx.x; u < args.tokens; u += 256) later |= args.positions[u] == p;
  if (block_sum<i32>(later, shared<i32>()) > 0) return;
  i64 from = t * args.columns, to = p * args.columns;
  for (i64 i = threadIdx.x; i < args.columns; i += 256) {
    store(args.kcache, args.tkcache, to + i, load(args.k, args.tk, from + i));
    store(args.vcache, args.tvcache, to + i, load(args.v, args.tv, from + i));
  }
}
