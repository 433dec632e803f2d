// kernels.Attention in bfloat16 by mma, as FlashAttention-2 (arXiv:2307.08691): a block has a head's tile of 16*WARPS queries,
// each warp 16 of them, and goes through the keys BN at a time, with the next tile on its way. The last tiles, which see the
// most keys, come first.
//
// At Dh 128 a warp's product of 16 rows reads 256 bytes of shared memory for 2048 multiplications, which is what an sm_80
// multiprocessor gives and takes in the same 2 cycles; queries stay in registers so that nothing else is read. On sm_86 and
// sm_89, with half the multiplications a cycle, shared memory is not the limit. Shared memory: 64 KiB at Dh 128.
#include "attention_mma.cuh"

// HELD keeps the queries in registers; their tile is where the second tile of keys and values will be.
template <int DP, int BN, int WARPS, bool HELD> DEVICE void att_fwd(const att_args &args) {
  constexpr int THREADS = 32 * WARPS, BM = 16 * WARPS, P = att_pitch<DP>, KS = DP / 16, NS = BN / 8;
  i32 head = blockIdx.x, kv = head / (args.heads / args.kv), q0 = (i32)(gridDim.y - 1 - blockIdx.y) * BM;
  i32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, w0 = q0 + warp * 16, i = w0 + lane / 4;
  u16 *stages = shared<u16>(), *q = stages + (HELD ? 2 : 4) * BN * P;
  att_span span = att_queries(args, q0, BM), mine = att_queries(args, w0, 16);
  i32 lo[2], hi[2];
  UNROLL for (int r = 0; r < 2; r++) {
    i32 t = i + 8 * r;
    lo[r] = t < args.tokens ? args.lo[t] : -1;
    hi[r] = lo[r] < 0 ? 0 : args.hi[t];
  }

  i32 first = span.lo / BN * BN;
  auto fetch = [&](i32 k0) {
    u16 *k = stages + ((k0 - first) / BN & 1) * 2 * BN * P;
    const i32 *pad = k0 >= span.inner_lo && k0 + BN <= span.inner_hi ? 0 : args.marks;
    att_load<DP, BN, THREADS>(k, args.k, args.kv, kv, k0, span.hi, args.dh, pad);
    att_load<DP, BN, THREADS>(k + BN * P, args.v, args.kv, kv, k0, span.hi, args.dh, pad);
    cp_async_commit();
  };
  att_load<DP, BM, THREADS>(q, args.q, args.heads, head, q0, args.tokens, args.dh, args.lo);
  cp_async_commit();
  if (first < span.hi) fetch(first);
  u32 held[HELD ? KS : 1][4];
  if (HELD) {
    cp_async_wait<0>();
    __syncthreads();
    UNROLL for (int ks = 0; ks < KS; ks++) att_a<DP>(held[HELD ? ks : 0], q, warp * 16, ks);
  }

  att_sums<DP> o;
  o.clear();
  f32 top[2] = {-ATT_INF, -ATT_INF}, sum[2] = {0, 0};
  // Scores are products until their exponential is taken, where that is possible.
  bool plain = !args.capped && args.inner > 0;
  f32 unit = plain ? args.inner : 1.0f;

  for (i32 k0 = first; k0 < span.hi; k0 += BN) {
    cp_async_wait<0>();
    __syncthreads();
    if (k0 + BN < span.hi) fetch(k0 + BN);
    if (k0 >= mine.hi || k0 + BN <= mine.lo) continue;
    const u16 *k = stages + ((k0 - first) / BN & 1) * 2 * BN * P, *v = k + BN * P;

    f32 s[NS][4], alpha[2];
    UNROLL for (int n = 0; n < NS; n++) UNROLL for (int e = 0; e < 4; e++) s[n][e] = 0;
    UNROLL for (int ks = 0; ks < KS; ks++) {
      u32 b[NS][2];
      att_b<DP, NS>(b, k, 0, ks);
      if (!HELD) att_a<DP>(held[0], q, warp * 16, ks);
      mma_bf16_row<NS>(s, held[HELD ? ks : 0], b);
    }
    f32(&scores)[4 * NS] = *(f32(*)[4 * NS])s;
    att_softmax(args, scores, k0, k0 >= mine.inner_lo && k0 + BN <= mine.inner_hi, lo, hi, plain, unit, top, sum, alpha);
    o.scale(alpha[0], alpha[1]);
    UNROLL for (int kk = 0; kk < BN / 16; kk++) {
      u32 a[4];
      att_pack(a, scores, kk);
      o.add(a, v, kk * 16);
    }
  }

  UNROLL for (int r = 0; r < 2; r++) {
    sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
    sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
    i32 t = i + 8 * r;
    if (args.lse && lane % 4 == 0 && t < args.tokens)
      args.lse[(i64)t * args.heads + head] = lo[r] < 0 ? 0.0f : fmaf(top[r] * unit, ATT_LN2, logf(sum[r]));
  }
  if (!args.o) return;
  o.scale(1.0f / sum[0], 1.0f / sum[1]);
  __syncthreads();
  att_store<DP>(o.all, stages + warp * 16 * P, args.o, args.heads, head, w0, args.tokens, args.dh, args.lo);
}

// hot
KERNEL(att_fwd_32, att_args, 256, 1) { att_fwd<32, 64, 8, true>(args); }
KERNEL(att_fwd_64, att_args, 256, 1) { att_fwd<64, 64, 8, true>(args); }
KERNEL(att_fwd_80, att_args, 256, 1) { att_fwd<80, 64, 8, true>(args); }
KERNEL(att_fwd_96, att_args, 256, 1) { att_fwd<96, 64, 8, true>(args); }
KERNEL(att_fwd_128, att_args, 256, 1) { att_fwd<128, 64, 8, true>(args); }
KERNEL(att_fwd_256, att_args, 256, 1) { att_fwd<256, 32, 8, false>(args); }
KERNEL(att_fwd_256_small, att_args, 128, 1) { att_fwd<256, 32, 4, false>(args); } // 96 KiB: sm_86 and sm_89 have 99
