// kernels.AttentionBwd in bfloat16 on Hopper: the two passes of attention_bwd.cu by TMA and wgmma. A block has 128 fixed rows (k and v
// for dk and dv, q and do for dq), 64 of them with each of two consumers; a warpgroup of its own loads tiles of BN moving rows,
// STAGES ahead. A consumer makes p while do.v runs, and has the products of its next tile issued before those of the last are
// done, but for dk and dv at Dh 128, where registers are short: there one consumer's products run under the other's p. Each
// sum is one consumer's, in the order of the tiles, so nothing depends on what finishes first.
//
// Arithmetic at Dh 128, 64 moving rows, cycles of the tensor cores: 2*256 for s and do.v, whose operands come from shared
// memory just as fast, 2*256 for dk and dv, 256 powers of 2 in the special function unit. dq is two of 512 and one of 512 for
// 128 moving rows. With 7 products for the 5 that are counted, 60 % of the peak here are 43 % counted. Registers of a consumer
// at Dh 128: 128 sums, 64 of s and do.v, 32 of p and ds; none are left for the slope of a soft cap, which attention_bwd.cu has.
#include "attention_sm90.cuh"

struct att_bwd_sm90_args {
  tensor_map mx1, mx2, my1, my2, mstat; // fixed and moving tiles; lse and delta of moving queries
  void *to1, *to2;
  const f32 *stat;
  const i32 *lo, *hi, *last;
  i32 tokens, heads, kv, dh, rows;
  f32 scale, inner;
  i32 pad[13];
};

enum { ATT_CLEANED = 1, ATT_STORE = 2 };

// KEYS: the fixed rows are keys, and there are sums of p times the second moving tile, too.
template <int DH, int BN, int STAGES, bool KEYS> DEVICE void att_bwd_sm90(const att_bwd_sm90_args &args) {
  constexpr int BM = 128, FIXED = BM * DH * 2, TILE = BN * DH * 2, STAT = KEYS ? BN * 8 : 0;
  // Whether the products of a tile begin while those of the last are under way: p and ds of both have to be held.
  constexpr bool OVERLAP = !(KEYS && DH == 128);
  u8 *x1 = shared<u8>(), *x2 = x1 + FIXED, *y = x2 + FIXED, *stats = y + STAGES * 2 * TILE;
  u64 *fixed = (u64 *)(stats + STAGES * STAT), *full = fixed + 1, *empty = full + STAGES;
  i32 group = args.heads / args.kv, head = blockIdx.x, kv = KEYS ? head : head / group;
  i32 f0 = (i32)(KEYS ? blockIdx.y : gridDim.y - 1 - blockIdx.y) * BM;
  att_span span = KEYS ? att_keys(args, f0, BM) : att_queries(args, f0, BM);
  i32 first = span.lo / BN * BN, heads = span.hi > 0 ? KEYS ? group : 1 : 0; // whose tiles are gone through, from first to span.hi
  if (threadIdx.x == 0) {
    tma_prefetch(&args.mx1);
    tma_prefetch(&args.mx2);
    tma_prefetch(&args.my1);
    tma_prefetch(&args.my2);
    mbarrier_init(fixed, 1);
    for (int s = 0; s < STAGES; s++) {
      mbarrier_init(full + s, 1);
      mbarrier_init(empty + s, 8); // the warps that multiply
    }
    mbarrier_init_fence();
  }
  __syncthreads();

  if (threadIdx.x < 128) {
    registers_down<40>();
    if (threadIdx.x > 0 || heads == 0) return;
    mbarrier_expect(fixed, 2 * FIXED);
    att_tma<DH, BM>(x1, &args.mx1, head, f0, fixed);
    att_tma<DH, BM>(x2, &args.mx2, head, f0, fixed);
    i32 s = 0, parity = 1;
    for (i32 h = KEYS ? kv * group : kv; heads > 0; heads--, h++) {
      for (i32 t0 = first; t0 < span.hi; t0 += BN) {
        u8 *tile = y + s * 2 * TILE;
        mbarrier_wait(empty + s, parity);
        mbarrier_expect(full + s, 2 * TILE + STAT);
        att_tma<DH, BN>(tile, &args.my1, h, t0, full + s);
        att_tma<DH, BN>(tile + TILE, &args.my2, h, t0, full + s);
        if (KEYS) tma_load_2d(stats + s * STAT, &args.mstat, 2 * t0, h, full + s);
        if (++s == STAGES) {
          s = 0;
          parity ^= 1;
        }
      }
    }
    return;
  }

  registers_up<232>();
  i32 me = threadIdx.x / 128 - 1, warp = threadIdx.x % 128 / 32, lane = threadIdx.x % 32;
  i32 w0 = f0 + me * 64 + warp * 16, i = w0 + lane / 4;
  i32 lo[2], hi[2]; // the moving rows that fixed row i + 8r is paired with
  f32 lse[2], delta[2];
  UNROLL for (int r = 0; r < 2; r++) {
    i32 t = i + 8 * r;
    bool in = t < args.tokens;
    lo[r] = KEYS ? t : in ? args.lo[t] : -1;
    hi[r] = !in ? 0 : KEYS ? args.last[t] : args.hi[t];
    if (KEYS) continue;
    const f32 *own = args.stat + ((i64)head * args.rows + t) * 2;
    lse[r] = own[0];
    delta[r] = own[1];
  }

  f32 sum1[DH / 2], sum2[DH / 2], s[BN / 2], dp[BN / 2];
  u32 p[BN / 16][4], ds[BN / 16][4];
  UNROLL for (int e = 0; e < DH / 2; e++) {
    sum1[e] = 0;
    if (KEYS) sum2[e] = 0;
  }
  if (heads > 0) mbarrier_wait(fixed, 0);
  i32 stage = 0, parity = 0, t0 = first, before = -1; // before is the stage whose products may be under way
  while (heads > 0) {
    u8 *y1 = y + stage * 2 * TILE, *y2 = y1 + TILE;
    const f32 *stat = (const f32 *)(stats + stage * STAT) + 4 * (lane % 4); // of the moving queries 2*(lane%4) and the next
    mbarrier_wait(full + stage, parity);
    // What a fixed row is not paired with is multiplied by 0; it must not be NaN because of it.
    bool inner = t0 >= span.inner_lo && t0 + BN <= span.inner_hi;
    if (!inner) {
      att_clean<DH, BN>(y1, threadIdx.x - 128, t0, args.tokens, args.lo);
      att_clean<DH, BN>(y2, threadIdx.x - 256, t0, args.tokens, args.lo);
      fence_async();
      bar_sync(ATT_CLEANED, 256);
    }
    wgmma_hold(s);
    wgmma_hold(dp);
    wgmma_fence();
    UNROLL for (int ks = 0; ks < DH / 16; ks++) wgmma<BN>(s, att_along<BM>(x1, me * 64, ks), att_along<BN>(y1, 0, ks), ks > 0);
    wgmma_commit();
    UNROLL for (int ks = 0; ks < DH / 16; ks++) wgmma<BN>(dp, att_along<BM>(x2, me * 64, ks), att_along<BN>(y2, 0, ks), ks > 0);
    wgmma_commit();
    wgmma_wait<1>();
    wgmma_hold(s);
    if (OVERLAP && before >= 0) att_give(empty + before); // its products came before s

    // p, while do.v is made; operands of products are set when none is under way, or the compiler waits for each of them.
    UNROLL for (int e = 0; e < BN / 2; e += 4) {
      f32x4 pair = KEYS ? *(const f32x4 *)(stat + e * 4) : f32x4{lse[0], 0, lse[1], 0};
      s[e] = exp2_approx(fmaf(s[e], args.inner, -pair.x));
      s[e + 1] = exp2_approx(fmaf(s[e + 1], args.inner, KEYS ? -pair.z : -pair.x));
      s[e + 2] = exp2_approx(fmaf(s[e + 2], args.inner, KEYS ? -pair.x : -pair.z));
      s[e + 3] = exp2_approx(fmaf(s[e + 3], args.inner, -pair.z));
    }
    if (!inner) {
      UNROLL for (int e = 0; e < BN / 2; e++) {
        i32 r = e / 2 % 2, t = t0 + 2 * (lane % 4) + e / 4 * 8 + e % 2;
        if (t < lo[r] || t >= hi[r]) s[e] = 0;
      }
    }
    wgmma_wait<0>();
    wgmma_hold(dp);
    UNROLL for (int e = 0; e < BN / 2; e += 4) {
      f32x4 pair = KEYS ? *(const f32x4 *)(stat + e * 4) : f32x4{0, delta[0], 0, delta[1]};
      dp[e] = s[e] * (dp[e] - pair.y);
      dp[e + 1] = s[e + 1] * (dp[e + 1] - (KEYS ? pair.w : pair.y));
      dp[e + 2] = s[e + 2] * (dp[e + 2] - (KEYS ? pair.y : pair.w));
      dp[e + 3] = s[e + 3] * (dp[e + 3] - pair.w);
    }
    if (KEYS) {
      UNROLL for (int kk = 0; kk < BN / 16; kk++) att_pack(p[kk], s, kk);
    }
    UNROLL for (int kk = 0; kk < BN / 16; kk++) att_pack(ds[kk], dp, kk);
    wgmma_hold(sum1);
    if (KEYS) wgmma_hold(sum2);
    wgmma_fence();
    u64 down1 = att_down<BN>(y1, 0), down2 = att_down<BN>(y2, 0);
    UNROLL for (int kk = 0; kk < BN / 16; kk++) {
      if (KEYS) wgmma_ra<DH, 1>(sum2, p[kk], down2 + kk * 128, 1);
      wgmma_ra<DH, 1>(sum1, ds[kk], down1 + kk * 128, 1);
    }
    wgmma_commit();
    if (!OVERLAP) {
      wgmma_wait<0>();
      wgmma_hold(sum1);
      if (KEYS) wgmma_hold(sum2);
      att_give(empty + stage);
    }
    t0 += BN;
    if (t0 >= span.hi) { // the next query head
      t0 = first;
      heads--;
    }
    before = stage;
    if (++stage == STAGES) {
      stage = 0;
      parity ^= 1;
    }
  }
  wgmma_wait<0>();
  wgmma_hold(sum1);
  bar_sync(ATT_STORE, 256); // all fixed rows have been read
  u16 *tile = (u16 *)(x1 + (me * 64 + warp * 16) * DH * 2);
  if (KEYS) {
    wgmma_hold(sum2);
    if (args.to2) att_store<DH>(sum2, tile, args.to2, args.kv, head, w0, args.tokens, DH, args.lo);
  }
  UNROLL for (int e = 0; e < DH / 2; e++) sum1[e] *= args.scale;
  if (args.to1) att_store<DH>(sum1, tile, args.to1, KEYS ? args.kv : args.heads, head, w0, args.tokens, DH, args.lo);
}

KERNEL(att_dkdv_64_sm90, att_bwd_sm90_args, 384, 1) { att_bwd_sm90<64, 64, 2, true>(args); }
KERNEL(att_dkdv_128_sm90, att_bwd_sm90_args, 384, 1) { att_bwd_sm90<128, 64, 2, true>(args); }
KERNEL(att_dq_64_sm90, att_bwd_sm90_args, 384, 1) { att_bwd_sm90<64, 128, 2, false>(args); }
KERNEL(att_dq_128_sm90, att_bwd_sm90_args, 384, 1) { att_bwd_sm90<128, 96, 2, false>(args); }
