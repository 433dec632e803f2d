// D = alpha (op(A) op(B) + op(A2) op(B2)) + beta C + bias on Hopper, by TMA and wgmma: gemm_bf16.cu's product, with LoRA's term
// as the last steps of the same sum. Not for A and B both transposed.
//
// A block is three warpgroups. One thread of the first has TMA bring steps of 64 k to shared memory, four of which fit: 192 KB,
// of A 128x64 and of B 256x64. The other two make 64x256 each by wgmma m64n256k16, one step's products under way while the
// next step's are begun: 128 registers of sums a thread, 232 in all. Operands lie as they do in memory, swizzled by 128
// bytes: K along the rows of 64, or M or N. What lies outside of a matrix comes as zeros.
//
// Blocks, at most as many as an H100 has multiprocessors, take tiles in a fixed order, in groups of 8 rows of tiles; the loads
// of the next tile run while the last one is stored. Each tile is made by one block and each sum runs over k in order, so
// that bits do not depend on the number of blocks. A step does 4 MFLOP from 48 KB: bound by wgmma where K is large. A term of
// rank 16 costs one of its k16 where K costs K/16.
//
// bfloat16 results without C leave in pieces of 16 bytes: the four threads that have a row's 32 columns exchange them.
#include "device_sm90.cuh"

struct gemm_sm90_args {
  tensor_map a, b, a2, b2;
  const void *c, *bias;
  void *d;
  i64 ldc, ldd;
  i32 m, n, k, k2, dcd;
  f32 alpha, beta;
  i32 pad[15];
};

enum { SM90_M = 128, SM90_N = 256, SM90_K = 64, SM90_STAGES = 4, SM90_GROUP = 8, SM90_A = SM90_M * SM90_K * 2, SM90_STEP = SM90_A + SM90_N * SM90_K * 2 };

// sm90_tile is where tile i begins.
DEVICE void sm90_tile(const gemm_sm90_args &args, i32 i, i32 &m0, i32 &n0) {
  i32 across = (args.n + SM90_N - 1) / SM90_N, down = (args.m + SM90_M - 1) / SM90_M;
  i32 group = i / (SM90_GROUP * across), in = i % (SM90_GROUP * across), first = group * SM90_GROUP;
  i32 high = down - first < SM90_GROUP ? down - first : SM90_GROUP;
  m0 = (first + in % high) * SM90_M;
  n0 = in / high * SM90_N;
}

// sm90_load begins the copies of one step, k0 on, of a tile.
template <bool TA, bool TB> DEVICE void sm90_load(const tensor_map *a, const tensor_map *b, i32 m0, i32 n0, i32 k0, u8 *step, u64 *full) {
  mbarrier_expect(full, SM90_STEP);
  if (TA) for (int i = 0; i < SM90_M; i += 64) tma_load_2d(step + i * SM90_K * 2, a, m0 + i, k0, full);
  else tma_load_2d(step, a, k0, m0, full);
  step += SM90_A;
  if (TB) tma_load_2d(step, b, k0, n0, full);
  else for (int i = 0; i < SM90_N; i += 64) tma_load_2d(step + i * SM90_K * 2, b, n0 + i, k0, full);
}

// sm90_multiply begins the products of the first N times 16 k of a step for a warpgroup, as one group.
template <bool TA, bool TB, int N> DEVICE void sm90_multiply(f32 (&acc)[128], const u8 *step, i32 group, bool add) {
  const u8 *rows = step + group * 64 * SM90_K * 2;
  u64 a = TA ? matrix_mn(rows, 64 * SM90_K * 2) : matrix_k(rows);
  u64 b = TB ? matrix_k(step + SM90_A) : matrix_mn(step + SM90_A, 64 * SM90_K * 2);
  wgmma_fence();
  UNROLL for (int k = 0; k < N; k++) wgmma<256, TA, !TB>(acc, a + (TA ? k * 128 : k * 2), b + (TB ? k * 2 : k * 128), add || k > 0);
  wgmma_commit();
}

// sm90_exchange transposes: of four threads, thread t has in v[q] its part of piece q, and gets the four parts of piece t.
DEVICE void sm90_exchange(u32 (&v)[4]) {
  bool odd = threadIdx.x & 1, high = threadIdx.x & 2;
  UNROLL for (int q = 0; q < 4; q += 2) {
    u32 got = __shfl_xor_sync(0xffffffffu, odd ? v[q] : v[q + 1], 1);
    if (odd) v[q] = got;
    else v[q + 1] = got;
  }
  UNROLL for (int q = 0; q < 2; q++) {
    u32 got = __shfl_xor_sync(0xffffffffu, high ? v[q] : v[q + 2], 2);
    if (high) v[q] = got;
    else v[q + 2] = got;
  }
}

// sm90_bias is the bias of column n, of D's dtype.
DEVICE f32 sm90_bias(const gemm_sm90_args &args, i32 n) { return args.bias && n < args.n ? load(args.bias, args.dcd, n) : 0.0f; }

// sm90_store writes the sums of a warpgroup, whose rows begin at m0, to bfloat16 rows at multiples of 16 bytes, without C.
DEVICE void sm90_store(const gemm_sm90_args &args, const f32 (&acc)[128], i32 m0, i32 n0) {
  i32 t = (i32)threadIdx.x % 128, lane = t % 4, row0 = m0 + t / 32 * 16 + t % 32 / 4;
  UNROLL for (int j = 0; j < 32; j += 4) {
    f32 bias[4][2];
    UNROLL for (int q = 0; q < 4; q++) UNROLL for (int i = 0; i < 2; i++) bias[q][i] = sm90_bias(args, n0 + 8 * (j + q) + 2 * lane + i);
    UNROLL for (int h = 0; h < 2; h++) {
      i32 m = row0 + 8 * h, n = n0 + 8 * (j + lane);
      u32 v[4];
      UNROLL for (int q = 0; q < 4; q++)
        v[q] = f32_bf16x2(args.alpha * acc[4 * (j + q) + 2 * h] + bias[q][0], args.alpha * acc[4 * (j + q) + 2 * h + 1] + bias[q][1]);
      sm90_exchange(v);
      if (m < args.m && n < args.n) *(u32x4 *)((u16 *)args.d + (i64)m * args.ldd + n) = u32x4{v[0], v[1], v[2], v[3]};
    }
  }
}

// sm90_store_any does so for any D, and adds C.
DEVICE void sm90_store_any(const gemm_sm90_args &args, const f32 (&acc)[128], i32 m0, i32 n0) {
  i32 t = (i32)threadIdx.x % 128, row0 = m0 + t / 32 * 16 + t % 32 / 4, col0 = n0 + 2 * (t % 4);
  UNROLL for (int i = 0; i < 128; i++) {
    i32 m = row0 + i / 2 % 2 * 8, n = col0 + i / 4 * 8 + i % 2;
    if (m >= args.m || n >= args.n) continue;
    f32 v = args.alpha * acc[i];
    if (args.beta != 0) v = fmaf(args.beta, load(args.c, args.dcd, (i64)m * args.ldc + n), v);
    store(args.d, args.dcd, (i64)m * args.ldd + n, v + sm90_bias(args, n));
  }
}

template <bool TA, bool TB> DEVICE void gemm_sm90(const gemm_sm90_args &args) {
  u8 *ring = shared<u8>();
  u64 *full = shared<u64>(SM90_STAGES * SM90_STEP), *empty = full + SM90_STAGES;
  if (threadIdx.x == 0) {
    for (int i = 0; i < SM90_STAGES; i++) {
      mbarrier_init(full + i, 1);
      mbarrier_init(empty + i, 8); // the warps that multiply
    }
    mbarrier_init_fence();
  }
  __syncthreads();
  i32 tiles = (args.n + SM90_N - 1) / SM90_N * ((args.m + SM90_M - 1) / SM90_M);
  i32 steps1 = (args.k + SM90_K - 1) / SM90_K, steps = steps1 + (args.k2 + SM90_K - 1) / SM90_K, group = (i32)threadIdx.x / 128, m0, n0;
  u32 at = 0; // steps since the beginning, over all tiles
  if (group == 0) {
    registers_down<40>();
    if (threadIdx.x != 0) return;
    for (i32 tile = (i32)blockIdx.x; tile < tiles; tile += (i32)gridDim.x) {
      sm90_tile(args, tile, m0, n0);
      for (i32 s = 0; s < steps; s++, at++) {
        u32 stage = at % SM90_STAGES;
        mbarrier_wait(empty + stage, (at / SM90_STAGES & 1) ^ 1);
        bool second = s >= steps1;
        sm90_load<TA, TB>(second ? &args.a2 : &args.a, second ? &args.b2 : &args.b, m0, n0, (second ? s - steps1 : s) * SM90_K, ring + stage * SM90_STEP,
                          full + stage);
      }
    }
    return;
  }
  registers_up<232>();
  bool wide = args.dcd == BFLOAT16 && args.beta == 0 && args.n % 8 == 0 && ((u64)args.d | (u64)(2 * args.ldd)) % 16 == 0;
  for (i32 tile = (i32)blockIdx.x; tile < tiles; tile += (i32)gridDim.x) {
    f32 acc[128];
    for (i32 s = 0; s < steps; s++, at++) {
      u32 stage = at % SM90_STAGES;
      mbarrier_wait(full + stage, at / SM90_STAGES & 1);
      const u8 *step = ring + stage * SM90_STEP;
      i32 left = s < steps1 ? args.k - s * SM90_K : args.k2 - (s - steps1) * SM90_K;
      if (left > 48) sm90_multiply<TA, TB, 4>(acc, step, group - 1, s > 0);
      else if (left > 32) sm90_multiply<TA, TB, 3>(acc, step, group - 1, s > 0);
      else if (left > 16) sm90_multiply<TA, TB, 2>(acc, step, group - 1, s > 0);
      else sm90_multiply<TA, TB, 1>(acc, step, group - 1, s > 0);
      wgmma_wait<1>(); // the step before has been read
      if (s > 0 && threadIdx.x % 32 == 0) mbarrier_arrive(empty + (at - 1) % SM90_STAGES);
    }
    wgmma_wait<0>();
    wgmma_hold(acc);
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty + (at - 1) % SM90_STAGES);
    sm90_tile(args, tile, m0, n0);
    m0 += (group - 1) * 64;
    if (wide) sm90_store(args, acc, m0, n0);
    else sm90_store_any(args, acc, m0, n0);
  }
}

// hot: no local memory
KERNEL(gemm_sm90_nn, gemm_sm90_args, 384, 1) { gemm_sm90<false, false>(args); }
KERNEL(gemm_sm90_nt, gemm_sm90_args, 384, 1) { gemm_sm90<false, true>(args); }
KERNEL(gemm_sm90_tn, gemm_sm90_args, 384, 1) { gemm_sm90<true, false>(args); }
