// D = alpha (op(A) op(B) + op(A2) op(B2)) + beta C + bias on Hopper, by TMA and wgmma: gemm_bf16.cu's product, with LoRA's term
// as the last steps of the same sum. Not for A and B both transposed.
//
// A block is three warpgroups. One thread of the first has TMA bring steps of 64 k to shared memory, 192 KB of them: of A 128x64
// and of B 256x64 four, or six where tiles are 128 wide, for results of which wide tiles would leave multiprocessors idle. The
// other two make 64 rows each by wgmma m64n256k16, one step's products under way while the next step's are begun: 128
// registers of sums a thread, 232 in all. Operands lie as they do in memory, swizzled by 128 bytes: K along the rows of 64,
// or M or N. What lies outside of a matrix comes as zeros.
//
// Blocks, at most as many as there are multiprocessors, take tiles in a fixed order, in groups of 8 rows of tiles; the loads
// of the next tile run while the last one is stored. Each tile is made by one block and each sum runs over k in order, so
// that bits do not depend on the number of blocks. A step does 4 MFLOP from 48 KB (2 from 32): bound by wgmma where K is large. A term of
// rank 16 costs one of its k16 where K costs K/16.
//
// Results pass through 20 KB of shared memory, 16 rows of 32 columns a warp at a time, and leave in pieces of 16 bytes.
#include "device_sm90.cuh"
#include "gemm_bf16.cuh"

struct gemm_sm90_args {
  tensor_map a, b, a2, b2;
  const void *c, *bias;
  void *d;
  i64 ldc, ldd;
  i32 m, n, k, k2, dcd;
  f32 alpha, beta;
  i32 pad[15];
};

enum { SM90_M = 128, SM90_K = 64, SM90_GROUP = 8, SM90_A = SM90_M * SM90_K * 2 };

// What goes with tiles of N columns. Sums of a warp on their way to D have rows of 32, padded so that stores meet no bank twice;
// they lie behind the steps and the barriers.
template <int N> struct sm90 { enum { STAGES = N == 256 ? 4 : 6, STEP = SM90_A + N * SM90_K * 2, OUTS = STAGES * STEP + 2 * STAGES * 8 }; };
enum { SM90_OUT = 32 + 8 };

// sm90_tile is where tile i begins.
template <int N> DEVICE void sm90_tile(const gemm_sm90_args &args, i32 i, i32 &m0, i32 &n0) {
  i32 across = (args.n + N - 1) / N, down = (args.m + SM90_M - 1) / SM90_M;
  i32 group = i / (SM90_GROUP * across), in = i % (SM90_GROUP * across), first = group * SM90_GROUP;
  i32 high = down - first < SM90_GROUP ? down - first : SM90_GROUP;
  m0 = (first + in % high) * SM90_M;
  n0 = in / high * N;
}

// sm90_load begins the copies of one step, k0 on, of a tile.
template <bool TA, bool TB, int N> DEVICE void sm90_load(const tensor_map *a, const tensor_map *b, i32 m0, i32 n0, i32 k0, u8 *step, u64 *full) {
  mbarrier_expect(full, sm90<N>::STEP);
  if (TA) for (int i = 0; i < SM90_M; i += 64) tma_load_2d(step + i * SM90_K * 2, a, m0 + i, k0, full);
  else tma_load_2d(step, a, k0, m0, full);
  step += SM90_A;
  if (TB) tma_load_2d(step, b, k0, n0, full);
  else for (int i = 0; i < N; i += 64) tma_load_2d(step + i * SM90_K * 2, b, n0 + i, k0, full);
}

// sm90_multiply begins the products of the first KS times 16 k of a step for a warpgroup, as one group.
template <bool TA, bool TB, int N, int KS> DEVICE void sm90_multiply(f32 (&acc)[N / 2], const u8 *step, i32 group, bool add) {
  const u8 *rows = step + group * 64 * SM90_K * 2;
  u64 a = TA ? matrix_mn(rows, 64 * SM90_K * 2) : matrix_k(rows);
  u64 b = TB ? matrix_k(step + SM90_A) : matrix_mn(step + SM90_A, 64 * SM90_K * 2);
  wgmma_fence();
  UNROLL for (int k = 0; k < KS; k++) wgmma<N, TA, !TB>(acc, a + (TA ? k * 128 : k * 2), b + (TB ? k * 2 : k * 128), add || k > 0);
  wgmma_commit();
}

// sm90_sums are 8 sums of a row, those of an odd row the second half first: so the two rows that eight lanes read at once are in
// different banks.
DEVICE void sm90_sums(const f32 *p, i32 odd, f32 (&v)[8]) {
  f32x4 a = *(const f32x4 *)(p + 4 * odd), b = *(const f32x4 *)(p + 4 - 4 * odd), first = odd ? b : a, second = odd ? a : b;
  v[0] = first.x; v[1] = first.y; v[2] = first.z; v[3] = first.w;
  v[4] = second.x; v[5] = second.y; v[6] = second.z; v[7] = second.w;
}

// sm90_store takes the sums of a warp, whose 16 rows begin at m0, to D: 32 columns at a time by way of shared memory.
template <int R> DEVICE void sm90_store(const gemm_sm90_args &args, const f32 (&acc)[R], f32 *out, i32 m0, i32 n0) {
  i32 lane = (i32)threadIdx.x % 32;
  bool wide_c = rows_wide(args.c, args.dcd, args.ldc), wide_d = rows_wide(args.d, args.dcd, args.ldd);
  UNROLL for (int j = 0; j < R; j += 16) {
    UNROLL for (int i = 0; i < 16; i++) out[(lane / 4 + i / 2 % 2 * 8) * SM90_OUT + i / 4 * 8 + lane % 4 * 2 + i % 2] = acc[j + i];
    __syncwarp();
    for (i32 row = lane / 4; row < 16; row += 8) {
      i32 m = m0 + row, n = n0 + 2 * j + lane % 4 * 8, left = args.n - n;
      if (m >= args.m || left <= 0) continue;
      f32 v[8], c[8];
      sm90_sums(out + row * SM90_OUT + lane % 4 * 8, row % 2, v);
      UNROLL for (int i = 0; i < 8; i++) v[i] = args.alpha * v[i];
      if (args.beta != 0) {
        load_up_to8(args.c, args.dcd, (i64)m * args.ldc + n, left, wide_c, c);
        UNROLL for (int i = 0; i < 8; i++) v[i] = fmaf(args.beta, c[i], v[i]);
      }
      if (args.bias) {
        load_up_to8(args.bias, args.dcd, n, left, rows_wide(args.bias, args.dcd, 8), c);
        UNROLL for (int i = 0; i < 8; i++) v[i] += c[i];
      }
      store_up_to8(args.d, args.dcd, (i64)m * args.ldd + n, left, wide_d, v);
    }
    __syncwarp();
  }
}

template <bool TA, bool TB, int N> DEVICE void gemm_sm90(const gemm_sm90_args &args) {
  enum { STAGES = sm90<N>::STAGES, STEP = sm90<N>::STEP };
  u8 *ring = shared<u8>();
  u64 *full = shared<u64>(STAGES * STEP), *empty = full + STAGES;
  if (threadIdx.x == 0) {
    tma_prefetch(&args.a);
    tma_prefetch(&args.b);
    for (int i = 0; i < STAGES; i++) {
      mbarrier_init(full + i, 1);
      mbarrier_init(empty + i, 8); // the warps that multiply
    }
    mbarrier_init_fence();
  }
  __syncthreads();
  i32 tiles = (args.n + N - 1) / N * ((args.m + SM90_M - 1) / SM90_M);
  i32 steps1 = (args.k + SM90_K - 1) / SM90_K, steps = steps1 + (args.k2 + SM90_K - 1) / SM90_K, group = (i32)threadIdx.x / 128, m0, n0;
  u32 at = 0; // steps since the beginning, over all tiles
  if (group == 0) {
    registers_down<40>();
    if (threadIdx.x != 0) return;
    for (i32 tile = (i32)blockIdx.x; tile < tiles; tile += (i32)gridDim.x) {
      sm90_tile<N>(args, tile, m0, n0);
      for (i32 s = 0; s < steps; s++, at++) {
        u32 stage = at % STAGES;
        mbarrier_wait(empty + stage, (at / STAGES & 1) ^ 1);
        bool second = s >= steps1;
        sm90_load<TA, TB, N>(second ? &args.a2 : &args.a, second ? &args.b2 : &args.b, m0, n0, (second ? s - steps1 : s) * SM90_K, ring + stage * STEP,
                          full + stage);
      }
    }
    return;
  }
  registers_up<232>();
  i32 warp = (i32)threadIdx.x / 32 - 4;
  for (i32 tile = (i32)blockIdx.x; tile < tiles; tile += (i32)gridDim.x) {
    f32 acc[N / 2];
    for (i32 s = 0; s < steps; s++, at++) {
      u32 stage = at % STAGES;
      mbarrier_wait(full + stage, at / STAGES & 1);
      const u8 *step = ring + stage * STEP;
      i32 left = s < steps1 ? args.k - s * SM90_K : args.k2 - (s - steps1) * SM90_K;
      if (left > 48) sm90_multiply<TA, TB, N, 4>(acc, step, group - 1, s > 0);
      else if (left > 32) sm90_multiply<TA, TB, N, 3>(acc, step, group - 1, s > 0);
      else if (left > 16) sm90_multiply<TA, TB, N, 2>(acc, step, group - 1, s > 0);
      else sm90_multiply<TA, TB, N, 1>(acc, step, group - 1, s > 0);
      wgmma_wait<1>(); // the step before has been read
      if (s > 0 && threadIdx.x % 32 == 0) mbarrier_arrive(empty + (at - 1) % STAGES);
    }
    wgmma_wait<0>();
    wgmma_hold(acc);
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty + (at - 1) % STAGES);
    sm90_tile<N>(args, tile, m0, n0);
    sm90_store(args, acc, shared<f32>(sm90<N>::OUTS) + warp * 16 * SM90_OUT, m0 + warp * 16, n0);
  }
}

// hot
KERNEL(gemm_sm90_nn_256, gemm_sm90_args, 384, 1) { gemm_sm90<false, false, 256>(args); }
KERNEL(gemm_sm90_nt_256, gemm_sm90_args, 384, 1) { gemm_sm90<false, true, 256>(args); }
KERNEL(gemm_sm90_tn_256, gemm_sm90_args, 384, 1) { gemm_sm90<true, false, 256>(args); }
KERNEL(gemm_sm90_nn_128, gemm_sm90_args, 384, 1) { gemm_sm90<false, false, 128>(args); }
KERNEL(gemm_sm90_nt_128, gemm_sm90_args, 384, 1) { gemm_sm90<false, true, 128>(args); }
KERNEL(gemm_sm90_tn_128, gemm_sm90_args, 384, 1) { gemm_sm90<true, false, 128>(args); }
