// kernels.AttentionCached for a few tokens, as in generation: the cache is split into pieces of 256 rows so that one token
// still fills the GPU, and the pieces' results are added in their order. Everything depends on the cache's size alone, not on
// how much of it is used: one recording serves every position. Each row of the cache is read once for all query heads that
// share it, which is all that takes time: 2*S*KV*Dh elements at the card's bandwidth.
#include "attention.cuh"
#include "row.cuh"

struct decode_args {
  const void *q, *k, *v;
  void *o;
  const i32 *positions;
  f32 *part; // (pieces, tokens, heads, dh+2): the largest score, the sum of powers of 2 relative to it, and of those times v
  i32 tokens, keys, heads, kv, dh, pieces;
  i32 tq, tk, tv, to;
  i32 window, capped;
  f32 inner, outer;
};

enum { DECODE_ROWS = 256, DECODE_QUERIES = 8, DECODE_THREADS = 128, DECODE_LOADS = 16 };

// decode_column is column d of the rows of v from j on and before end, as they are stored: all loads are under way before the
// first is used, as there are no more blocks than multiprocessors.
DEVICE void decode_column(const decode_args &args, i32 kv, i32 d, i32 j, i32 end, u32 (&raw)[DECODE_LOADS]) {
  i64 at = ((i64)j * args.kv + kv) * args.dh + d, step = (i64)args.kv * args.dh;
  if (args.tv == BFLOAT16) {
    UNROLL for (int r = 0; r < DECODE_LOADS; r++) raw[r] = j + r < end ? ((const u16 *)args.v)[at + r * step] : 0;
  } else {
    UNROLL for (int r = 0; r < DECODE_LOADS; r++) raw[r] = j + r < end ? ((const u32 *)args.v)[at + r * step] : 0;
  }
}

// A block takes one piece for one key head. Shared memory: 8 queries (8, dh) and their scores (8, 256).
// hot
KERNEL(att_decode, decode_args, 128, 1) {
  i32 piece = blockIdx.x, kv = blockIdx.y, group = args.heads / args.kv, dh = args.dh, lane = threadIdx.x % 32;
  i32 total = args.tokens * group, from = piece * DECODE_ROWS, end = from + DECODE_ROWS < args.keys ? from + DECODE_ROWS : args.keys;
  f32 *scores = shared<f32>(), *q = scores + DECODE_QUERIES * DECODE_ROWS;
  att_args score; // what att_score looks at
  score.inner = args.inner;
  score.outer = args.outer;
  score.capped = args.capped;

  for (i32 first = 0; first < total; first += DECODE_QUERIES) {
    i32 n = total - first < DECODE_QUERIES ? total - first : DECODE_QUERIES;
    i32 lo[DECODE_QUERIES], hi[DECODE_QUERIES], least = end, most = from; // what each query sees of the piece, and any does
    i64 row[DECODE_QUERIES];                                            // of the query in (tokens, heads)
    UNROLL for (int u = 0; u < DECODE_QUERIES; u++) {
      i32 w = first + (u < n ? u : 0), t = w / group, p = args.positions[t];
      row[u] = (i64)t * args.heads + kv * group + w % group;
      hi[u] = p < end ? p + 1 : end;
      lo[u] = args.window > 0 && p >= args.window ? p + 1 - args.window : 0;
      lo[u] = lo[u] > from ? lo[u] : from;
      if (u >= n || lo[u] >= hi[u]) continue;
      least = lo[u] < least ? lo[u] : least;
      most = hi[u] > most ? hi[u] : most;
    }
    __syncthreads();
    UNROLL for (int u = 0; u < DECODE_QUERIES; u++) {
      if (u < n && lo[u] < hi[u]) for (i32 d = threadIdx.x; d < dh; d += DECODE_THREADS) q[u * dh + d] = load(args.q, args.tq, row[u] * dh + d);
    }
    __syncthreads();

    for (i32 j = from + threadIdx.x; j < end; j += DECODE_THREADS) {
      f32 sum[DECODE_QUERIES] = {0, 0, 0, 0, 0, 0, 0, 0};
      bool seen = j >= least && j < most;
      for (i32 d0 = 0; seen && d0 < dh; d0 += 32) {
        raw8 raw[4];
        UNROLL for (int c = 0; c < 4; c++)
          if (d0 + 8 * c < dh) raw[c] = row_fetch8(args.k, args.tk, ((i64)j * args.kv + kv) * dh, d0 + 8 * c, dh);
        UNROLL for (int c = 0; c < 4; c++) {
          i32 d = d0 + 8 * c;
          if (d >= dh) continue;
          f32 x[8];
          widen8(raw[c], args.tk, x);
          UNROLL for (int u = 0; u < DECODE_QUERIES; u++) {
            if (u >= n || lo[u] >= hi[u]) continue;
            UNROLL for (int e = 0; e < 8; e++) sum[u] = d + e < dh ? fmaf(q[u * dh + d + e], x[e], sum[u]) : sum[u];
          }
        }
      }
      UNROLL for (int u = 0; u < DECODE_QUERIES; u++) {
        f32 slope;
        scores[u * DECODE_ROWS + j - from] = j >= lo[u] && j < hi[u] ? att_score(score, sum[u], slope) : -ATT_INF;
      }
    }
    __syncthreads();

    for (i32 u = threadIdx.x / 32; u < n; u += DECODE_THREADS / 32) {
      f32 *s = scores + u * DECODE_ROWS, top = -ATT_INF, sum = 0;
      for (i32 c = lane; c < end - from; c += 32) top = fmaxf(top, s[c]);
      top = warp_max(top);
      f32 base = top == -ATT_INF ? 0.0f : top; // a NaN is no maximum: it comes by the sum
      for (i32 c = lane; c < end - from; c += 32) {
        s[c] = exp2_approx(s[c] - base);
        sum += s[c];
      }
      sum = warp_sum(sum);
      i32 w = first + u;
      f32 *part = args.part + (((i64)piece * args.tokens + w / group) * args.heads + kv * group + w % group) * (dh + 2);
      if (lane == 0) {
        part[0] = top;
        part[1] = sum;
      }
    }
    __syncthreads();

    for (i32 d = threadIdx.x; d < dh && least < most; d += DECODE_THREADS) {
      f32 sum[DECODE_QUERIES] = {0, 0, 0, 0, 0, 0, 0, 0};
      for (i32 j0 = least; j0 < most; j0 += DECODE_LOADS) {
        u32 raw[DECODE_LOADS];
        decode_column(args, kv, d, j0, most, raw);
        UNROLL for (int r = 0; r < DECODE_LOADS; r++) {
          if (j0 + r >= most) continue;
          f32 x = bits_f32(args.tv == BFLOAT16 ? raw[r] << 16 : raw[r]);
          UNROLL for (int u = 0; u < DECODE_QUERIES; u++) if (u < n) sum[u] = fmaf(scores[u * DECODE_ROWS + j0 + r - from], x, sum[u]);
        }
      }
      UNROLL for (int u = 0; u < DECODE_QUERIES; u++) {
        if (u < n) args.part[((i64)piece * args.tokens * args.heads + row[u]) * (dh + 2) + 2 + d] = sum[u];
      }
    }
  }
}

// A block a query: the pieces that it sees anything of, in order.
// hot
KERNEL(att_combine, decode_args, 128, 1) {
  i64 row = blockIdx.x, stride = (i64)args.tokens * args.heads * (args.dh + 2);
  const f32 *part = args.part + row * (args.dh + 2);
  f32 top = -ATT_INF, total = 0;
  for (i32 s = 0; s < args.pieces; s++) top = fmaxf(top, part[s * stride]);
  f32 base = top == -ATT_INF ? 0.0f : top;
  for (i32 s = 0; s < args.pieces; s++) {
    if (part[s * stride + 1] != 0) total = fmaf(exp2_approx(part[s * stride] - base), part[s * stride + 1], total);
  }
  bool padding = args.positions[row / args.heads] < 0;
  for (i32 d = threadIdx.x; d < args.dh; d += DECODE_THREADS) {
    f32 sum = 0;
    for (i32 s = 0; s < args.pieces; s++) {
      if (part[s * stride + 1] != 0) sum = fmaf(exp2_approx(part[s * stride] - base), part[s * stride + 2 + d], sum);
    }
    store(args.o, args.to, row * args.dh + d, padding ? 0.0f : sum / total);
  }
}
