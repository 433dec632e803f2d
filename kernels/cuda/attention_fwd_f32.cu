// kernels.Attention in float32 (or any mix of dtypes): a block a tile of queries and a head, the last tiles, which see the
// most keys, first. 4 Dh flops a pair of query and key, by fmaf from shared memory, bound by its bandwidth.
#include "attention_f32.cuh"

template <int B, int NA> DEVICE void att_fwd_f32(const att_args &args) {
  constexpr int L = 256 / B, NS = B / L;
  i32 head = blockIdx.x, g = head / (args.heads / args.kv), q0 = (i32)(gridDim.y - 1 - blockIdx.y) * B;
  i32 dh = args.dh, stride = dh | 1, row = threadIdx.x / L, lane = threadIdx.x % L, i = q0 + row;
  f32 *q = shared<f32>(), *k = q + B * stride, *v = k + B * stride, *p = v + B * stride + row * B;
  i32 lo = i < args.tokens ? args.lo[i] : -1, hi = lo < 0 ? 0 : args.hi[i];
  att_span span = att_queries(args, q0, B);
  att_tile<B>(q, stride, args.q, args.tq, args.heads, head, q0, args.tokens, dh, args.lo);
  f32 o[NA], top = -ATT_INF, sum = 0;
  UNROLL for (int n = 0; n < NA; n++) o[n] = 0;

  for (i32 k0 = span.lo / B * B; k0 < span.hi; k0 += B) {
    __syncthreads();
    att_tile<B>(k, stride, args.k, args.tk, args.kv, g, k0, span.hi, dh, args.marks);
    att_tile<B>(v, stride, args.v, args.tv, args.kv, g, k0, span.hi, dh, args.marks);
    __syncthreads();
    f32 s[NS], most = top, slope;
    UNROLL for (int n = 0; n < NS; n++) {
      i32 c = lane + L * n;
      f32 x = att_score(args, att_dot(q + row * stride, k + c * stride, dh), slope);
      s[n] = k0 + c >= lo && k0 + c < hi ? x : -ATT_INF;
      most = fmaxf(most, s[n]);
    }
    UNROLL for (int d = 1; d < L; d <<= 1) most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, d));
    f32 base = most == -ATT_INF ? 0.0f : most, alpha = exp2_approx(top - base); // a NaN is no maximum: it comes by the sum
    top = most;
    sum *= alpha;
    UNROLL for (int n = 0; n < NS; n++) {
      f32 e = exp2_approx(s[n] - base);
      sum += e;
      p[lane + L * n] = e;
    }
    UNROLL for (int n = 0; n < NA; n++) o[n] *= alpha;
    __syncwarp();
    att_add<B, NA>(o, p, v, stride, dh);
    __syncwarp();
  }

  UNROLL for (int d = 1; d < L; d <<= 1) sum += __shfl_xor_sync(0xffffffffu, sum, d);
  if (i >= args.tokens) return;
  i64 at = (i64)i * args.heads + head;
  if (args.o) att_store_row<B, NA>(args.o, args.to, at * dh, dh, o, 1.0f / sum, lo >= 0);
  if (args.lse && lane == 0) args.lse[at] = lo < 0 ? 0.0f : fmaf(top, ATT_LN2, logf(sum));
}

KERNEL(att_fwd_f32_64, att_args, 256, 1) { att_fwd_f32<32, 8>(args); }
KERNEL(att_fwd_f32_128, att_args, 256, 1) { att_fwd_f32<32, 16>(args); }
KERNEL(att_fwd_f32_256, att_args, 256, 1) { att_fwd_f32<16, 16>(args); }
