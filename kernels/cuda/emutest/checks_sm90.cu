// Kernels for the emulator's own tests of sm_90a, see checks.cu.
#include "../device_sm90.cuh"

struct check90_args {
  tensor_map a, b;
  void *out;
  i32 x, y, z, mode;
  i64 pad[5];
};

// out (all of the box) = the box of map a at (x, y, z), as it lies in shared memory. mode: its bytes, negative for 2D.
KERNEL(check_tma, check90_args, 128, 1) {
  u64 *bar = shared<u64>();
  u8 *box = shared<u8>(1024);
  i32 bytes = args.mode < 0 ? -args.mode : args.mode;
  if (threadIdx.x == 0) {
    mbarrier_init(bar, 1);
    mbarrier_init_fence();
    tma_prefetch(&args.a);
    mbarrier_expect(bar, (u32)bytes);
    if (args.mode < 0) tma_load_2d(box, &args.a, args.x, args.y, bar);
    else tma_load_3d(box, &args.a, args.x, args.y, args.z, bar);
  }
  __syncthreads();
  mbarrier_wait(bar, 0);
  for (i32 i = (i32)threadIdx.x; i < bytes; i += 128) ((u8 *)args.out)[i] = box[i];
}

// out (64, N) = a b + a b for a of 64x64 by one box of map a, b of 64xN by boxes of 64 elements of map b; TA: a lies as
// (K, M), TB: b lies as (K, N) and not as (N, K). RA: a goes through registers. Every group of two products has a wait.
template <int N, int TA, int TB, int RA> DEVICE void products(const check90_args &args) {
  u64 *bar = shared<u64>();
  u8 *a = shared<u8>(1024), *b = a + 8192;
  if (threadIdx.x == 0) {
    mbarrier_init(bar, 1);
    mbarrier_init_fence();
    mbarrier_expect(bar, 8192 + 128 * N);
    tma_load_2d(a, &args.a, 0, 0, bar);
    if (TB) for (int n = 0; n < N; n += 64) tma_load_2d(b + n * 128, &args.b, n, 0, bar); // (64, 64 of N) each
    else tma_load_2d(b, &args.b, 0, 0, bar);                                               // (N, 64)
  }
  __syncthreads();
  mbarrier_wait(bar, 0);
  u32 w = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  f32 d[N / 2];
  for (int i = 0; i < N / 2; i++) d[i] = 99;
  wgmma_hold(d);
  for (int r = 0; r < 2; r++) {
    u32 regs[4][4];
    if (RA) UNROLL for (u32 k = 0; k < 4; k++) UNROLL for (u32 i = 0; i < 4; i++) {
      u32 o = (16 * w + g + 8 * (i % 2)) * 128 + k * 32 + t * 4 + 16 * (i / 2);
      regs[k][i] = *(u32 *)(a + (o ^ (o >> 3 & 0x70)));
    }
    wgmma_fence();
    UNROLL for (int k = 0; k < 4; k++) {
      u64 db = TB ? matrix_mn(b, 8192) + 128 * k : matrix_k(b) + 2 * k;
      if (RA) wgmma_ra<N, TB>(d, regs[k], db, r + k > 0);
      else wgmma<N, TA, TB>(d, TA ? matrix_mn(a, 8192) + 128 * k : matrix_k(a) + 2 * k, db, r + k > 0);
      if (k == 1) wgmma_commit();
    }
    wgmma_commit();
    wgmma_wait<1>();
    wgmma_wait<0>();
    wgmma_hold(d);
  }
  f32 *out = (f32 *)args.out;
  for (u32 i = 0; i < N / 2; i++) out[(16 * w + g + 8 * (i / 2 % 2)) * N + 8 * (i / 4) + 2 * t + i % 2] = d[i];
}
KERNEL(check_wgmma_32, check90_args, 128, 1) { products<32, 0, 0, 0>(args); }
KERNEL(check_wgmma_64t, check90_args, 128, 1) { products<64, 1, 1, 0>(args); }
KERNEL(check_wgmma_96r, check90_args, 128, 1) { products<96, 0, 0, 1>(args); }
KERNEL(check_wgmma_128t, check90_args, 128, 1) { products<128, 0, 1, 0>(args); }
KERNEL(check_wgmma_192r, check90_args, 128, 1) { products<192, 0, 1, 1>(args); }
KERNEL(check_wgmma_256, check90_args, 128, 1) { products<256, 1, 0, 0>(args); }

// A ring of two stages: a producer warp loads z boxes of 64x64 of map a, 128 consumers add them up into out (64, 64).
KERNEL(check_ring, check90_args, 160, 1) {
  u64 *full = shared<u64>(), *empty = full + 2;
  u8 *stage = shared<u8>(1024);
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; i++) { mbarrier_init(full + i, 1); mbarrier_init(empty + i, 4); }
    mbarrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x >= 128) {
    if (threadIdx.x == 128)
      for (i32 i = 0; i < args.z; i++) {
        mbarrier_wait(empty + i % 2, (u32)(i / 2 + 1) & 1);
        mbarrier_expect(full + i % 2, 8192);
        tma_load_3d(stage + i % 2 * 8192, &args.a, 0, 0, i, full + i % 2);
      }
    return;
  }
  f32 sum[32] = {};
  for (i32 i = 0; i < args.z; i++) {
    mbarrier_wait(full + i % 2, (u32)(i / 2) & 1);
    for (u32 j = 0; j < 32; j++) {
      u32 o = threadIdx.x / 2 * 128 + threadIdx.x % 2 * 64 + 2 * j;
      sum[j] += bf16_f32(*(u16 *)(stage + i % 2 * 8192 + (o ^ (o >> 3 & 0x70))));
    }
    if (args.mode != 1) __syncwarp(); // mode 1: lanes of a warp may still be reading
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty + i % 2);
  }
  for (u32 j = 0; j < 32; j++) ((f32 *)args.out)[threadIdx.x / 2 * 64 + threadIdx.x % 2 * 32 + j] = sum[j];
}

// A tile of ones that threads write, times itself. mode is the mistake: 1 no fence_async, 2 no wgmma_wait, 3 no wgmma_fence,
// 4 one warp makes another product, 5 nothing is waited for at the end, 6 the tile is written again before the wait.
KERNEL(check_written, check90_args, 128, 1) {
  u16 *tile = shared<u16>(1024);
  for (u32 i = threadIdx.x; i < 4096; i += 128) tile[i] = 0x3f80;
  if (args.mode != 1) fence_async();
  __syncthreads();
  f32 d[32];
  if (args.mode != 3) wgmma_fence();
  wgmma<64>(d, matrix_k(tile), matrix_k(tile), 0);
  if (args.mode == 4 && threadIdx.x >= 96) wgmma<64>(d, matrix_k(tile), matrix_k(tile) + 2, 1);
  else wgmma<64>(d, matrix_k(tile), matrix_k(tile), 1);
  wgmma_commit();
  if (args.mode == 6) {
    tile[threadIdx.x] = 0;
    fence_async();
  }
  if (args.mode != 2 && args.mode != 5) wgmma_wait<0>();
  wgmma_hold(d);
  for (u32 i = 0; i < 32; i++) ((f32 *)args.out)[threadIdx.x * 32 + i] = d[i];
  if (args.mode == 2) wgmma_wait<0>();
}

// mode is the mistake: 1 waits for bytes that do not come, 2 no mbarrier_init_fence, 3 an arrival too many, 4 no wait before
// the end, 5 no mbarrier there, 6 reads without a wait, 7 the barrier is written over, 8 the box is written before.
KERNEL(check_loaded, check90_args, 32, 1) {
  u64 *bar = shared<u64>();
  u8 *box = shared<u8>(1024);
  if (threadIdx.x == 0) {
    mbarrier_init(bar, 1);
    if (args.mode != 2) mbarrier_init_fence();
    mbarrier_expect(bar, args.mode == 1 ? 8200 : 8192);
    if (args.mode == 3) mbarrier_arrive(bar);
    if (args.mode == 7) *bar = 0;
    if (args.mode == 8) box[5] = 0;
    tma_load_2d(box, &args.a, 0, 0, args.mode == 5 ? bar + 1 : bar);
  }
  __syncwarp();
  if (args.mode != 4 && args.mode != 6) mbarrier_wait(bar, 0);
  ((u8 *)args.out)[threadIdx.x] = box[threadIdx.x];
  if (args.mode == 6) mbarrier_wait(bar, 0);
}
