// kernels.AttentionBwd in bfloat16 by mma, in two passes of one shape. A block has 16*WARPS fixed rows, of which each warp has
// 16, and goes through tiles of BN moving rows:
//
//   dk, dv: fixed k and v of a key head, moving q and do of all its query heads    dv = p' do, dk = ds' q
//   dq:     fixed q and do,              moving k and v                            dq = ds k
//
// with p = 2^(s - lse) and ds = p (do.v - delta) slope. Each sum is one warp's and stored once, so nothing depends on what
// finishes first; the price is that s and p are made twice: 7 products for 5. p and ds never leave the registers, as the
// result of one product is the operand of the next. At Dh 128: 97 KiB of shared memory and up to 255 registers, so a block a
// multiprocessor on all of sm_80, 86 and 89. At Dh 256 sums of both dk and dv have no room: a pass each, 8 products.
#include "attention_mma.cuh"

// att_products is s += rows r to r+15 of x times rows of y. Not all of 256 columns at once: their operands have no room.
template <int DP, int NS> DEVICE void att_products(f32 (&s)[NS][4], const u16 *x, i32 r, const u16 *y) {
  constexpr int KS = DP / 16, AT_ONCE = KS > 8 ? 4 : KS;
  _Pragma("unroll 1") for (int k0 = 0; k0 < KS; k0 += AT_ONCE) UNROLL for (int ks = k0; ks < k0 + AT_ONCE; ks++) {
    u32 a[4], b[NS][2];
    att_a<DP>(a, x, r, ks);
    att_b<DP, NS>(b, y, 0, ks);
    mma_bf16_row<NS>(s, a, b);
  }
}

// KEYS: the fixed rows are keys. FIRST wants ds times the first moving tile (dk, dq), SECOND p times the second (dv).
template <int DP, int BN, int WARPS, bool KEYS, bool FIRST, bool SECOND> DEVICE void att_bwd(const att_args &args) {
  constexpr int THREADS = 32 * WARPS, BM = 16 * WARPS, P = att_pitch<DP>, NS = BN / 8;
  i32 group = args.heads / args.kv, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  i32 head = blockIdx.x, kv = KEYS ? head : head / group, f0 = (i32)(KEYS ? blockIdx.y : gridDim.y - 1 - blockIdx.y) * BM;
  i32 w0 = f0 + warp * 16, i = w0 + lane / 4;
  u16 *x1 = shared<u16>(), *x2 = x1 + BM * P, *moving = x2 + BM * P;
  f32 *moving_stat = (f32 *)(moving + 4 * BN * P);
  att_span span = KEYS ? att_keys(args, f0, BM) : att_queries(args, f0, BM);
  att_span mine = KEYS ? att_keys(args, w0, 16) : att_queries(args, w0, 16);

  i32 lo[2], hi[2]; // the moving rows that fixed row i + 8r is paired with
  UNROLL for (int r = 0; r < 2; r++) {
    i32 t = i + 8 * r;
    bool in = t < args.tokens;
    lo[r] = KEYS ? t : in ? args.lo[t] : -1;
    hi[r] = !in ? 0 : KEYS ? args.last[t] : args.hi[t];
  }

  i32 first = span.lo / BN, per = span.hi > 0 ? (span.hi + BN - 1) / BN - first : 0, steps = per * (KEYS ? group : 1);
  auto fetch = [&](i32 step) {
    i32 h = KEYS ? kv * group + step / per : head, t0 = (first + step % per) * BN, stage = step & 1;
    i32 end = KEYS ? args.tokens : span.hi;
    u16 *y = moving + stage * 2 * BN * P;
    const i32 *pad = t0 >= span.inner_lo && t0 + BN <= span.inner_hi ? 0 : args.lo;
    att_load<DP, BN, THREADS>(y, KEYS ? args.q : args.k, KEYS ? args.heads : args.kv, KEYS ? h : kv, t0, end, args.dh, pad);
    att_load<DP, BN, THREADS>(y + BN * P, KEYS ? args.dout : args.v, KEYS ? args.heads : args.kv, KEYS ? h : kv, t0, end, args.dh, pad);
    if (KEYS && threadIdx.x < BN / 2) {
      i32 at = 4 * threadIdx.x;
      cp_async16(moving_stat + stage * 2 * BN + at, args.stat + ((i64)h * args.rows + t0) * 2 + at);
    }
    cp_async_commit();
  };
  att_load<DP, BM, THREADS>(x1, KEYS ? args.k : args.q, KEYS ? args.kv : args.heads, head, f0, args.tokens, args.dh, args.lo);
  att_load<DP, BM, THREADS>(x2, KEYS ? args.v : args.dout, KEYS ? args.kv : args.heads, head, f0, args.tokens, args.dh, args.lo);
  cp_async_commit();
  if (steps > 0) fetch(0);

  att_sums<DP> sum1, sum2;
  if (FIRST) sum1.clear();
  if (SECOND) sum2.clear();
  for (i32 step = 0; step < steps; step++) {
    cp_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) fetch(step + 1);
    i32 t0 = (first + step % per) * BN, stage = step & 1;
    if (t0 >= mine.hi || t0 + BN <= mine.lo) continue;
    const u16 *y1 = moving + stage * 2 * BN * P, *y2 = y1 + BN * P;
    const f32 *stat = moving_stat + stage * 2 * BN;
    f32 lse[2], delta[2]; // of fixed queries: read again, as registers are short
    UNROLL for (int r = 0; r < 2 && !KEYS; r++) {
      const f32 *own = args.stat + ((i64)head * args.rows + i + 8 * r) * 2;
      lse[r] = own[0];
      delta[r] = own[1];
    }

    f32 s[NS][4], ds[FIRST ? NS : 1][4];
    UNROLL for (int n = 0; n < NS; n++) UNROLL for (int e = 0; e < 4; e++) s[n][e] = ds[FIRST ? n : 0][e] = 0;
    att_products<DP, NS>(s, x1, warp * 16, y1);
    if (FIRST) {
      att_products<DP, NS>((f32 (&)[NS][4])ds, x2, warp * 16, y2);
    }
    // A soft cap's slope goes into the distance of do.v from delta, so that nothing of it is kept.
    if (args.capped) {
      UNROLL for (int n = 0; n < NS; n++) UNROLL for (int e = 0; e < 4; e++) {
        f32 slope, d = KEYS ? stat[(n * 8 + 2 * (lane % 4) + e % 2) * 2 + 1] : delta[e / 2];
        s[n][e] = att_score(args, s[n][e], slope);
        if (FIRST) ds[n][e] = fmaf(ds[n][e] - d, slope, d);
      }
    } else {
      UNROLL for (int n = 0; n < NS; n++) UNROLL for (int e = 0; e < 4; e++) s[n][e] *= args.inner;
    }
    bool inner = t0 >= mine.inner_lo && t0 + BN <= mine.inner_hi;
    UNROLL for (int n = 0; n < NS; n++) {
      f32x4 pair = KEYS ? *(const f32x4 *)(stat + (n * 8 + 2 * (lane % 4)) * 2) : f32x4{0, 0, 0, 0};
      UNROLL for (int e = 0; e < 4; e++) {
        f32 l = !KEYS ? lse[e / 2] : e % 2 ? pair.z : pair.x, d = !KEYS ? delta[e / 2] : e % 2 ? pair.w : pair.y;
        f32 p = exp2_approx(s[n][e] - l);
        i32 t = t0 + n * 8 + 2 * (lane % 4) + e % 2;
        bool sees = inner || (t >= lo[e / 2] && t < hi[e / 2]);
        s[n][e] = sees ? p : 0.0f;
        if (FIRST) ds[n][e] = sees ? p * (ds[n][e] - d) : 0.0f;
      }
    }
    UNROLL for (int kk = 0; kk < BN / 16; kk++) {
      u32 a[4];
      if (SECOND) {
        att_pack(a, *(f32(*)[4 * NS])s, kk);
        sum2.add(a, y2, kk * 16);
      }
      if (FIRST) {
        att_pack(a, *(f32(*)[4 * NS])ds, kk);
        sum1.add(a, y1, kk * 16);
      }
    }
  }

  cp_async_wait<0>();
  __syncthreads();
  u16 *tile = x1 + warp * 16 * P;
  void *to1 = KEYS ? args.dk : args.dq;
  if (FIRST && to1) {
    sum1.scale(args.scale, args.scale);
    att_store<DP>(sum1.all, tile, to1, KEYS ? args.kv : args.heads, head, w0, args.tokens, args.dh, args.lo);
  }
  if (SECOND && args.dv) att_store<DP>(sum2.all, tile, args.dv, args.kv, head, w0, args.tokens, args.dh, args.lo);
}

// hot
KERNEL(att_dkdv_32, att_args, 256, 1) { att_bwd<32, 64, 8, true, true, true>(args); }
KERNEL(att_dkdv_64, att_args, 256, 1) { att_bwd<64, 64, 8, true, true, true>(args); }
KERNEL(att_dkdv_80, att_args, 256, 1) { att_bwd<80, 32, 8, true, true, true>(args); }
KERNEL(att_dkdv_96, att_args, 256, 1) { att_bwd<96, 32, 8, true, true, true>(args); }
KERNEL(att_dkdv_128, att_args, 256, 1) { att_bwd<128, 32, 8, true, true, true>(args); }
KERNEL(att_dk_256, att_args, 128, 1) { att_bwd<256, 16, 4, true, true, false>(args); }
KERNEL(att_dv_256, att_args, 128, 1) { att_bwd<256, 16, 4, true, false, true>(args); }
KERNEL(att_dq_32, att_args, 256, 1) { att_bwd<32, 64, 8, false, true, false>(args); }
KERNEL(att_dq_64, att_args, 256, 1) { att_bwd<64, 64, 8, false, true, false>(args); }
KERNEL(att_dq_80, att_args, 256, 1) { att_bwd<80, 32, 8, false, true, false>(args); }
KERNEL(att_dq_96, att_args, 256, 1) { att_bwd<96, 32, 8, false, true, false>(args); }
KERNEL(att_dq_128, att_args, 256, 1) { att_bwd<128, 32, 8, false, true, false>(args); }
KERNEL(att_dq_256, att_args, 128, 1) { att_bwd<256, 16, 4, false, true, false>(args); }
