// Kernels for the emulator's own tests: some right, to be held to formulas, and some wrong, to be caught.
#include "../device_sm80.cuh"

struct check_args {
  u32 *in, *out;
  i64 n;
};

// out[0] is what lane l has of matrix m after each load: 4 words plain x4, 4 trans x4, 2 plain x2, 2 trans x2, of rows of 16
// bytes of in.
KERNEL(check_ldmatrix, check_args, 32, 1) {
  u32 *rows = shared<u32>(), x4[4], t4[4], x2[2], t2[2];
  for (int i = 0; i < 4; i++) rows[threadIdx.x * 4 + i] = args.in[threadIdx.x * 4 + i];
  __syncwarp();
  ldmatrix_x4(x4, rows + threadIdx.x * 4);
  ldmatrix_x4_trans(t4, rows + threadIdx.x * 4);
  ldmatrix_x2(x2, rows + threadIdx.x * 4);
  ldmatrix_x2_trans(t2, rows + threadIdx.x * 4);
  u32 *out = args.out + threadIdx.x * 12;
  for (int i = 0; i < 4; i++) { out[i] = x4[i]; out[4 + i] = t4[i]; }
  for (int i = 0; i < 2; i++) { out[8 + i] = x2[i]; out[10 + i] = t2[i]; }
}

// out (16,8) f32 = in: a (16,16) and b (16,8) bf16, n times, by the documented fragments.
KERNEL(check_mma, check_args, 32, 1) {
  const u16 *am = (const u16 *)args.in, *bm = am + 256;
  u32 g = threadIdx.x / 4, t = 2 * (threadIdx.x % 4), a[4], b[2];
  f32 d[4] = {};
  for (u32 i = 0; i < 4; i++) {
    u32 row = g + 8 * (i % 2), col = t + 8 * (i / 2);
    a[i] = am[row * 16 + col] | (u32)am[row * 16 + col + 1] << 16;
  }
  for (u32 i = 0; i < 2; i++) b[i] = bm[(t + 8 * i) * 8 + g] | (u32)bm[(t + 8 * i + 1) * 8 + g] << 16;
  for (i64 i = 0; i < args.n; i++) mma_bf16(d, a, b);
  f32 *out = (f32 *)args.out;
  for (u32 i = 0; i < 4; i++) out[(g + 8 * (i / 2)) * 8 + t + i % 2] = d[i];
}

// out[block] is the sum of in's n words, read by 256 threads in 16-byte copies that do not wait; past n there are zeros.
KERNEL(check_copies, check_args, 256, 1) {
  u32 *buf = shared<u32>(), sum = 0;
  i64 step = 256 * 4, at = threadIdx.x * 4;
  auto fetch = [&](i64 i, u32 half) {
    i64 left = (args.n - i) * 4;
    cp_async16(buf + half * step + at, args.in + i, left <= 0 ? 0 : left < 16 ? (u32)left : 16);
    cp_async_commit();
  };
  fetch(at, 0);
  for (i64 i = at, half = 0; i - at < args.n; i += step, half ^= 1) {
    fetch(i + step, (u32)half ^ 1);
    cp_async_wait<1>();
    __syncthreads();
    for (u32 j = 0; j < 4; j++) sum += buf[half * step + (at + 4 * j + 4) % step + j]; // of other threads, too
    __syncthreads();
  }
  cp_async_wait<0>();
  __syncthreads(); // the copies of nothing, too, write
  u32 all = block_sum(sum, buf);
  if (threadIdx.x == 0) args.out[blockIdx.x] = all;
}

KERNEL(check_diverged_barrier, check_args, 256, 1) {
  if (threadIdx.x % 32 < 16) {
    args.out[0] = 1;
    __syncthreads();
  } else {
    __syncthreads();
  }
}
KERNEL(check_missing_barrier, check_args, 256, 1) {
  if (threadIdx.x < 64) bar_sync(1, 96);
}
KERNEL(check_half_barrier, check_args, 256, 1) {
  if (threadIdx.x % 2) __syncthreads();
  else args.out[0] = __ballot_sync(0xffffffffu, 1);
}
KERNEL(check_diverged_mma, check_args, 32, 1) {
  f32 d[4] = {};
  u32 a[4] = {}, b[2] = {};
  if (threadIdx.x < 31) mma_bf16(d, a, b);
}
KERNEL(check_shuffle_from_nobody, check_args, 32, 1) {
  if (threadIdx.x < 16) args.out[threadIdx.x] = __shfl_sync(0x0000ffffu, threadIdx.x, 20);
}
KERNEL(check_missing_wait, check_args, 32, 1) {
  cp_async16(shared<u32>(threadIdx.x * 16), args.in + threadIdx.x * 4);
  cp_async_commit();
  args.out[threadIdx.x] = *shared<u32>(threadIdx.x * 16);
  cp_async_wait<0>();
}
KERNEL(check_wait_too_many, check_args, 32, 1) {
  for (u32 i = 0; i < 2; i++) {
    cp_async16(shared<u32>(threadIdx.x * 16 + i * 512), args.in + threadIdx.x * 4);
    cp_async_commit();
  }
  cp_async_wait<1>(); // guarantees the first only
  args.out[threadIdx.x] = *shared<u32>(threadIdx.x * 16 + 512);
  cp_async_wait<0>();
}
KERNEL(check_source_changed, check_args, 32, 1) {
  cp_async16(shared<u32>(threadIdx.x * 16), args.in + threadIdx.x * 4);
  cp_async_commit();
  args.in[threadIdx.x * 4] = 77; // may be what is copied
  cp_async_wait<0>();
  args.out[threadIdx.x] = *shared<u32>(threadIdx.x * 16);
}
KERNEL(check_pending_copy, check_args, 32, 1) { cp_async16(shared<u32>(threadIdx.x * 16), args.in + threadIdx.x * 4); }
// The order of warps shows: warp 1 should wait for what warp 0 writes.
KERNEL(check_race_of_warps, check_args, 64, 1) {
  if (threadIdx.x == 0) *shared<u32>() = 5;
  if (threadIdx.x == 32) args.out[0] = *shared<u32>();
}
KERNEL(check_race_of_lanes, check_args, 32, 1) {
  *shared<u32>(threadIdx.x * 4) = 5;
  args.out[threadIdx.x] = *shared<u32>((threadIdx.x + 31) % 32 * 4);
}
KERNEL(check_race_of_blocks, check_args, 32, 1) {
  if (threadIdx.x == 0) args.out[0] = blockIdx.x;
}
KERNEL(check_read_outside, check_args, 32, 1) { args.out[threadIdx.x] = args.in[args.n + threadIdx.x]; }
KERNEL(check_write_outside, check_args, 32, 1) { args.out[args.n] = 1; }
KERNEL(check_shared_outside, check_args, 32, 1) { *shared<u32>((u32)args.n) = 1; }
KERNEL(check_misaligned_load, check_args, 32, 1) {
  u32x4 v = *(const u32x4 *)(args.in + 1);
  args.out[0] = v.x + v.w;
}
KERNEL(check_misaligned_store, check_args, 32, 1) { *(f32x4 *)(args.out + 2) = f32x4{1, 2, 3, (f32)args.n}; }
KERNEL(check_misaligned_copy, check_args, 32, 1) {
  cp_async16(shared<u32>(16 * threadIdx.x), args.in + 1);
  cp_async_wait<0>();
}
KERNEL(check_divides, check_args, 32, 1) { args.out[0] = 5 / args.in[0]; }
KERNEL(check_recursion, check_args, 32, 1) {
  volatile u32 big[20000];
  for (u32 i = 0; i < 20000; i++) big[i] = i;
  volatile u32 big2[20000];
  for (u32 i = 0; i < 20000; i++) big2[i] = big[i];
  args.out[0] = big2[19999];
}
// Warp 3 takes what warps 0 to 2 have put there, and they do not wait for it.
KERNEL(check_named_barrier, check_args, 128, 1) {
  u32 *buf = shared<u32>();
  if (threadIdx.x < 96) {
    buf[threadIdx.x] = threadIdx.x;
    bar_arrive(5, 128);
  } else {
    bar_sync(5, 128);
    u32 i = threadIdx.x - 96;
    args.out[i] = buf[i] + buf[i + 32] + buf[i + 64];
  }
}
KERNEL(check_early_exit, check_args, 256, 1) {
  if (threadIdx.x >= 40) return;
  u32 v = __shfl_xor_sync(threadIdx.x < 32 ? 0xffffffffu : 0xffu, threadIdx.x, 1);
  __syncthreads();
  args.out[threadIdx.x] = v;
}
