// kernels.Attention in bfloat16 on Hopper, as FlashAttention-3 (arXiv:2407.08608): a block has a head's tile of 128 queries. One
// warpgroup loads by TMA, two stages of keys and values ahead; the others have 64 queries each. Within one of them the softmax
// of a tile is made while the product of the tile before with its values runs; and the two take turns, so that products of one
// run under the softmax of the other. The last tiles, which see the most keys, come first.
//
// Arithmetic at Dh 128, a tile of 128 keys: 4*128*128*128 multiplications and additions take 2048 cycles of the tensor cores of
// a multiprocessor, its 16384 powers of 2 take 1024 of the special function units: with the one under the other the products
// are the limit. Shared memory: 160 KiB. Registers of a consumer: 64 sums, 64 scores, 32 probabilities and what addresses need.
#include "attention_sm90.cuh"

struct att_fwd_sm90_args {
  tensor_map mq, mk, mv;
  void *o;
  f32 *lse;
  const i32 *lo, *hi, *marks;
  i32 tokens, heads, kv, dh;
  f32 inner, outer;
  i32 capped, pad[15];
};

enum { ATT_TURN = 1, ATT_CLEANED = 3, ATT_STORE = 4 }; // barriers by id; of the first one a consumer

template <int DH, int BN> DEVICE void att_fwd_sm90(const att_fwd_sm90_args &args) {
  constexpr int BM = 128, TILE = BN * DH * 2;
  u8 *q = shared<u8>(), *k = q + BM * DH * 2, *v = k + 2 * TILE;
  u64 *q_full = (u64 *)(v + 2 * TILE), *k_full = q_full + 1, *k_empty = k_full + 2, *v_full = k_empty + 2, *v_empty = v_full + 2;
  i32 head = blockIdx.x, kv = head / (args.heads / args.kv), q0 = (i32)(gridDim.y - 1 - blockIdx.y) * BM;
  att_span span = att_queries(args, q0, BM);
  i32 first = span.lo / BN, tiles = span.hi > 0 ? (span.hi + BN - 1) / BN - first : 0;
  if (threadIdx.x == 0) {
    tma_prefetch(&args.mq);
    tma_prefetch(&args.mk);
    tma_prefetch(&args.mv);
    mbarrier_init(q_full, 1);
    for (int s = 0; s < 2; s++) {
      mbarrier_init(k_full + s, 1);
      mbarrier_init(v_full + s, 1);
      mbarrier_init(k_empty + s, 8); // the warps that multiply
      mbarrier_init(v_empty + s, 8);
    }
    mbarrier_init_fence();
  }
  __syncthreads();

  if (threadIdx.x < 128) {
    registers_down<40>();
    if (threadIdx.x > 0 || tiles == 0) return;
    mbarrier_expect(q_full, BM * DH * 2);
    att_tma<DH, BM>(q, &args.mq, head, q0, q_full);
    for (i32 n = 0; n < tiles; n++) {
      i32 s = n & 1, turned = (n >> 1 & 1) ^ 1, k0 = (first + n) * BN;
      mbarrier_wait(k_empty + s, turned);
      mbarrier_expect(k_full + s, TILE);
      att_tma<DH, BN>(k + s * TILE, &args.mk, kv, k0, k_full + s);
      mbarrier_wait(v_empty + s, turned);
      mbarrier_expect(v_full + s, TILE);
      att_tma<DH, BN>(v + s * TILE, &args.mv, kv, k0, v_full + s);
    }
    return;
  }

  registers_up<232>();
  i32 me = threadIdx.x / 128 - 1, warp = threadIdx.x % 128 / 32, lane = threadIdx.x % 32;
  i32 w0 = q0 + me * 64 + warp * 16, i = w0 + lane / 4, lo[2], hi[2];
  att_span mine = att_queries(args, w0, 16);
  UNROLL for (int r = 0; r < 2; r++) {
    i32 t = i + 8 * r;
    lo[r] = t < args.tokens ? args.lo[t] : -1;
    hi[r] = lo[r] < 0 ? 0 : args.hi[t];
  }
  bool plain = !args.capped && args.inner > 0;
  f32 unit = plain ? args.inner : 1.0f;
  f32 o[DH / 2], s[BN / 2], top[2] = {-ATT_INF, -ATT_INF}, sum[2] = {0, 0}, alpha[2];
  u32 p[BN / 16][4];
  UNROLL for (int e = 0; e < DH / 2; e++) o[e] = 0;

  auto softmax = [&](i32 n) {
    i32 k0 = (first + n) * BN;
    att_softmax(args, s, k0, k0 >= mine.inner_lo && k0 + BN <= mine.inner_hi, lo, hi, plain, unit, top, sum, alpha);
  };
  auto times_keys = [&](i32 n) {
    const u8 *tile = k + (n & 1) * TILE;
    UNROLL for (int ks = 0; ks < DH / 16; ks++) wgmma<BN>(s, att_along<BM>(q, me * 64, ks), att_along<BN>(tile, 0, ks), ks > 0);
    wgmma_commit();
  };
  auto times_values = [&](i32 n) {
    u64 tile = att_down<BN>(v + (n & 1) * TILE, 0);
    UNROLL for (int kk = 0; kk < BN / 16; kk++) wgmma_ra<DH, 1>(o, p[kk], tile + kk * 128, 1);
    wgmma_commit();
  };
  // Values of keys that a query does not see are multiplied by 0; they must not be NaN because of it.
  auto values = [&](i32 n) {
    i32 k0 = (first + n) * BN;
    mbarrier_wait(v_full + (n & 1), n >> 1 & 1);
    if (k0 >= span.inner_lo && k0 + BN <= span.inner_hi) return;
    att_clean<DH, BN>(v + (n & 1) * TILE, threadIdx.x - 128, k0, span.hi, args.marks);
    fence_async();
    bar_sync(ATT_CLEANED, 256);
  };

  if (tiles > 0) {
    mbarrier_wait(q_full, 0);
    mbarrier_wait(k_full, 0);
    wgmma_hold(s);
    wgmma_fence();
    times_keys(0);
    wgmma_wait<0>();
    wgmma_hold(s);
    att_give(k_empty);
    softmax(0);
    UNROLL for (int kk = 0; kk < BN / 16; kk++) att_pack(p[kk], s, kk);
    if (me == 1 && tiles > 1) bar_arrive(ATT_TURN, 256);
  }
  for (i32 n = 1; n < tiles; n++) {
    mbarrier_wait(k_full + (n & 1), n >> 1 & 1);
    values(n - 1);
    bar_sync(ATT_TURN + me, 256);
    wgmma_hold(o);
    wgmma_hold(s);
    wgmma_fence();
    times_keys(n);
    times_values(n - 1);
    if (me == 0 || n + 1 < tiles) bar_arrive(ATT_TURN + 1 - me, 256);
    wgmma_wait<1>();
    wgmma_hold(s);
    att_give(k_empty + (n & 1));
    softmax(n);
    wgmma_wait<0>();
    wgmma_hold(o);
    att_give(v_empty + (n - 1 & 1));
    UNROLL for (int e = 0; e < DH / 2; e++) o[e] *= alpha[e / 2 % 2];
    UNROLL for (int kk = 0; kk < BN / 16; kk++) att_pack(p[kk], s, kk);
  }
  if (tiles > 0) {
    values(tiles - 1);
    wgmma_hold(o);
    wgmma_fence();
    times_values(tiles - 1);
    wgmma_wait<0>();
    wgmma_hold(o);
  }

  UNROLL for (int r = 0; r < 2; r++) {
    sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
    sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
    i32 t = i + 8 * r;
    if (args.lse && lane % 4 == 0 && t < args.tokens)
      args.lse[(i64)t * args.heads + head] = lo[r] < 0 ? 0.0f : fmaf(top[r] * unit, ATT_LN2, logf(sum[r]));
  }
  if (!args.o) return;
  f32 inv[2] = {1.0f / sum[0], 1.0f / sum[1]};
  UNROLL for (int e = 0; e < DH / 2; e++) o[e] *= inv[e / 2 % 2];
  bar_sync(ATT_STORE, 256); // all queries have been read
  att_store<DH>(o, (u16 *)(q + (me * 64 + warp * 16) * DH * 2), args.o, args.heads, head, w0, args.tokens, DH, args.lo);
}

KERNEL(att_fwd_64_sm90, att_fwd_sm90_args, 384, 1) { att_fwd_sm90<64, 128>(args); }
KERNEL(att_fwd_128_sm90, att_fwd_sm90_args, 384, 1) { att_fwd_sm90<128, 128>(args); }
KERNEL(att_fwd_256_sm90, att_fwd_sm90_args, 384, 1) { att_fwd_sm90<256, 64>(args); }
