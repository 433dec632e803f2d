// kernels.AttentionBwd in float32 (or any mix of dtypes), in two passes: by tiles of keys for dk and dv, and by tiles of
// queries for dq. Every sum is one thread's, in a fixed order.
//
//   p = 2^(s - lse), ds = p (do.v - delta) slope, dv = p' do, dk = ds' q, dq = ds k
#include "attention_f32.cuh"

// att_gradient is p and ds of one pair.
DEVICE void att_gradient(const att_args &args, const f32 *q, const f32 *k, const f32 *dout, const f32 *v, const f32 *stat, bool sees,
                         f32 &p, f32 &ds) {
  f32 slope, s = att_score(args, att_dot(q, k, args.dh), slope);
  p = sees ? exp2_approx(s - stat[0]) : 0.0f;
  ds = sees ? p * (att_dot(dout, v, args.dh) - stat[1]) * slope : 0.0f;
}

template <int B, int NA> DEVICE void att_dkdv_f32(const att_args &args) {
  constexpr int L = 256 / B;
  i32 g = blockIdx.x, group = args.heads / args.kv, k0 = (i32)blockIdx.y * B;
  i32 dh = args.dh, stride = dh | 1, row = threadIdx.x / L, lane = threadIdx.x % L, j = k0 + row;
  f32 *k = shared<f32>(), *v = k + B * stride, *q = v + B * stride, *dout = q + B * stride;
  f32 *p = dout + B * stride + row * B, *ds = p + B * B;
  i32 last = j < args.tokens ? args.last[j] : 0;
  att_span span = att_keys(args, k0, B);
  att_tile<B>(k, stride, args.k, args.tk, args.kv, g, k0, args.tokens, dh, args.lo);
  att_tile<B>(v, stride, args.v, args.tv, args.kv, g, k0, args.tokens, dh, args.lo);
  f32 dk[NA], dv[NA];
  UNROLL for (int n = 0; n < NA; n++) dk[n] = dv[n] = 0;

  for (i32 h = g * group; h < (g + 1) * group; h++) {
    for (i32 q0 = span.lo / B * B; q0 < span.hi; q0 += B) {
      __syncthreads();
      att_tile<B>(q, stride, args.q, args.tq, args.heads, h, q0, args.tokens, dh, args.lo);
      att_tile<B>(dout, stride, args.dout, args.tdout, args.heads, h, q0, args.tokens, dh, args.lo);
      __syncthreads();
      for (i32 c = lane; c < B; c += L) {
        i32 i = q0 + c;
        const f32 *stat = args.stat + ((i64)h * args.rows + i) * 2;
        att_gradient(args, q + c * stride, k + row * stride, dout + c * stride, v + row * stride, stat, i >= j && i < last, p[c], ds[c]);
      }
      __syncwarp();
      att_add<B, NA>(dv, p, dout, stride, dh);
      att_add<B, NA>(dk, ds, q, stride, dh);
      __syncwarp();
    }
  }
  if (j >= args.tokens) return;
  i64 at = ((i64)j * args.kv + g) * dh;
  if (args.dk) att_store_row<B, NA>(args.dk, args.tdk, at, dh, dk, args.scale, last > j);
  if (args.dv) att_store_row<B, NA>(args.dv, args.tdv, at, dh, dv, 1.0f, last > j);
}

template <int B, int NA> DEVICE void att_dq_f32(const att_args &args) {
  constexpr int L = 256 / B;
  i32 h = blockIdx.x, g = h / (args.heads / args.kv), q0 = (i32)(gridDim.y - 1 - blockIdx.y) * B;
  i32 dh = args.dh, stride = dh | 1, row = threadIdx.x / L, lane = threadIdx.x % L, i = q0 + row;
  f32 *q = shared<f32>(), *dout = q + B * stride, *k = dout + B * stride, *v = k + B * stride, *ds = v + B * stride + row * B;
  i32 lo = i < args.tokens ? args.lo[i] : -1, hi = lo < 0 ? 0 : args.hi[i];
  const f32 *stat = args.stat + ((i64)h * args.rows + i) * 2;
  att_span span = att_queries(args, q0, B);
  att_tile<B>(q, stride, args.q, args.tq, args.heads, h, q0, args.tokens, dh, args.lo);
  att_tile<B>(dout, stride, args.dout, args.tdout, args.heads, h, q0, args.tokens, dh, args.lo);
  f32 dq[NA], p;
  UNROLL for (int n = 0; n < NA; n++) dq[n] = 0;

  for (i32 k0 = span.lo / B * B; k0 < span.hi; k0 += B) {
    __syncthreads();
    att_tile<B>(k, stride, args.k, args.tk, args.kv, g, k0, span.hi, dh, args.lo);
    att_tile<B>(v, stride, args.v, args.tv, args.kv, g, k0, span.hi, dh, args.lo);
    __syncthreads();
    for (i32 c = lane; c < B; c += L) {
      att_gradient(args, q + row * stride, k + c * stride, dout + row * stride, v + c * stride, stat, k0 + c >= lo && k0 + c < hi, p, ds[c]);
    }
    __syncwarp();
    att_add<B, NA>(dq, ds, k, stride, dh);
    __syncwarp();
  }
  if (i < args.tokens) att_store_row<B, NA>(args.dq, args.tdq, ((i64)i * args.heads + h) * dh, dh, dq, args.scale, lo >= 0);
}

KERNEL(att_dkdv_f32_64, att_args, 256, 1) { att_dkdv_f32<32, 8>(args); }
KERNEL(att_dkdv_f32_128, att_args, 256, 1) { att_dkdv_f32<32, 16>(args); }
KERNEL(att_dkdv_f32_256, att_args, 256, 1) { att_dkdv_f32<16, 16>(args); }
KERNEL(att_dq_f32_64, att_args, 256, 1) { att_dq_f32<32, 8>(args); }
KERNEL(att_dq_f32_128, att_args, 256, 1) { att_dq_f32<32, 16>(args); }
KERNEL(att_dq_f32_256, att_args, 256, 1) { att_dq_f32<16, 16>(args); }
