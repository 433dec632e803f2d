// What all kernels of this directory stand on. The same text is compiled by NVRTC or nvcc for the GPU and by a C++
// compiler for the emulator (emu/emu.h is included before it there and has the words of CUDA: threadIdx, __syncthreads,
// __shfl_xor_sync and so on). Nothing of NVIDIA's headers is included.
//
// Rules: compiled with --fmad=false, so that a*b+c is rounded twice everywhere and fmaf() says where it is not; no static
// __shared__ memory, no global variables, no atomics on floating-point numbers, no printf; no sum depends on gridDim or
// on the number of multiprocessors; offsets are i64, as T*V and V*D exceed 2^31.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;
typedef float f32;
typedef double f64;

// KERNEL(name, type, threads, blocks) { body } is a __global__ function of one argument, `args` of that struct type, for
// blocks of at most that many threads, at least so many of which fit on a multiprocessor. DEVICE begins any other function.
#ifdef EMULATOR
#define DEVICE static inline __attribute__((always_inline))
#define KERNEL(name, type, threads, blocks) EMU_KERNEL(name, type, threads)
#define UNROLL
#else
#define DEVICE static __device__ __forceinline__
#define KERNEL(name, type, threads, blocks) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ type args)
#define UNROLL _Pragma("unroll")
extern __shared__ __align__(1024) u8 dynamic_shared_memory[];
DEVICE u8 *shared_memory() { return dynamic_shared_memory; }
#endif

// shared<T>(offset) is the dynamic shared memory of the block from that byte on.
template <class T> DEVICE T *shared(u32 offset = 0) { return (T *)(shared_memory() + offset); }

// The codes of kernels.Dtype.
enum { FLOAT32 = 1, BFLOAT16 = 2, INT32 = 5 };

DEVICE f32 bits_f32(u32 u) { f32 f; memcpy(&f, &u, 4); return f; }
DEVICE u32 f32_bits(f32 f) { u32 u; memcpy(&u, &f, 4); return u; }

// bf16 as its 16 bits.
DEVICE f32 bf16_f32(u16 h) { return bits_f32((u32)h << 16); }

// f32_bf16 rounds to nearest, ties to even; a NaN becomes 0x7fff, as cvt.rn.bf16.f32 makes it.
DEVICE u16 f32_bf16(f32 f) {
#ifdef EMULATOR
  u32 u = f32_bits(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (u16)((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
#else
  u16 h;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(f));
  return h;
#endif
}

// f32_bf16x2 is lo in the low half and hi in the high one, in one instruction.
DEVICE u32 f32_bf16x2(f32 lo, f32 hi) {
#ifdef EMULATOR
  return (u32)f32_bf16(lo) | (u32)f32_bf16(hi) << 16;
#else
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
#endif
}

// load and store are element i of a tensor of dtype FLOAT32 or BFLOAT16.
DEVICE f32 load(const void *p, i32 dtype, i64 i) {
  return dtype == BFLOAT16 ? bf16_f32(((const u16 *)p)[i]) : ((const f32 *)p)[i];
}
DEVICE void store(void *p, i32 dtype, i64 i, f32 v) {
  if (dtype == BFLOAT16) ((u16 *)p)[i] = f32_bf16(v);
  else ((f32 *)p)[i] = v;
}

// Four elements in one 16-byte access, at a multiple of 16.
#ifdef EMULATOR
typedef emu_vector<u32> u32x4;
typedef emu_vector<f32> f32x4;
#else
struct alignas(16) u32x4 { u32 x, y, z, w; };
struct alignas(16) f32x4 { f32 x, y, z, w; };
#endif

// fetch8 are elements i to i+7 of n as they are stored, in 16-byte accesses, and widen8 makes numbers of them; i is a
// multiple of 8 and p of 16. Those from n on are 0. Where a thread reads several operands all are fetched before any is
// widened: the dtype is not known when a kernel is compiled, so a widening would keep the next load waiting for its own.
struct raw8 { u32 w[8]; };

DEVICE raw8 fetch8(const void *p, i32 dtype, i64 i, i64 n) {
  raw8 r = {{0, 0, 0, 0, 0, 0, 0, 0}};
  if (i + 8 > n) {
    UNROLL for (int j = 0; j < 8; j++) {
      if (i + j >= n) continue;
      if (dtype == BFLOAT16) r.w[j / 2] |= (u32)((const u16 *)p)[i + j] << j % 2 * 16;
      else r.w[j] = f32_bits(((const f32 *)p)[i + j]);
    }
  } else {
    u32x4 a = *(const u32x4 *)((const u8 *)p + i * (dtype == BFLOAT16 ? 2 : 4));
    r.w[0] = a.x; r.w[1] = a.y; r.w[2] = a.z; r.w[3] = a.w;
    if (dtype != BFLOAT16) {
      u32x4 b = *(const u32x4 *)((const f32 *)p + i + 4);
      r.w[4] = b.x; r.w[5] = b.y; r.w[6] = b.z; r.w[7] = b.w;
    }
  }
  return r;
}

DEVICE void widen8(const raw8 &r, i32 dtype, f32 (&v)[8]) {
  UNROLL for (int j = 0; j < 8; j++) {
    u32 h = r.w[j / 2];
    v[j] = bits_f32(dtype != BFLOAT16 ? r.w[j] : j % 2 ? h & 0xffff0000u : h << 16);
  }
}

// load8 is both.
DEVICE void load8(const void *p, i32 dtype, i64 i, i64 n, f32 (&v)[8]) { widen8(fetch8(p, dtype, i, n), dtype, v); }

// store8 is the counterpart of load8; nothing is written from n on.
DEVICE void store8(void *p, i32 dtype, i64 i, i64 n, const f32 (&v)[8]) {
  if (i + 8 > n) {
    UNROLL for (int j = 0; j < 8; j++) if (i + j < n) store(p, dtype, i + j, v[j]);
  } else if (dtype == BFLOAT16) {
    *(u32x4 *)((u16 *)p + i) = u32x4{f32_bf16x2(v[0], v[1]), f32_bf16x2(v[2], v[3]), f32_bf16x2(v[4], v[5]), f32_bf16x2(v[6], v[7])};
  } else {
    *(f32x4 *)((f32 *)p + i) = f32x4{v[0], v[1], v[2], v[3]};
    *(f32x4 *)((f32 *)p + i + 4) = f32x4{v[4], v[5], v[6], v[7]};
  }
}

// warp_sum and warp_max leave in every lane the sum and the largest over a warp, by a fixed tree. A NaN reaches a sum and
// may be lost by a maximum.
template <class T> DEVICE T warp_sum(T v) {
  UNROLL for (int d = 16; d > 0; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
  return v;
}
DEVICE f32 warp_max(f32 v) {
  UNROLL for (int d = 16; d > 0; d >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, d));
  return v;
}

// block_sum leaves in every thread the sum over a block of a multiple of 32 threads: warps' sums, added in order. scratch is
// shared memory for one T a warp, which no thread may still be using.
template <class T> DEVICE T block_sum(T v, T *scratch) {
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  T s = 0;
  for (u32 w = 0; w < blockDim.x / 32; w++) s += scratch[w];
  __syncthreads();
  return s;
}
DEVICE f32 block_max(f32 v, f32 *scratch) {
  v = warp_max(v);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  f32 s = scratch[0];
  for (u32 w = 1; w < blockDim.x / 32; w++) s = fmaxf(s, scratch[w]);
  __syncthreads();
  return s;
}

// uniform_row and uniform_at are kernels.UniformRow and kernels.UniformAt, word for word.
DEVICE u32 uniform_mix(u32 x) {
  x ^= x >> 16; x *= 0x7feb352du; x ^= x >> 15; x *= 0x846ca68bu; x ^= x >> 16;
  return x;
}
DEVICE void uniform_row(u32 key, u32 salt, u32 &a, u32 &b) {
  a = uniform_mix(key ^ uniform_mix(salt + 0x9e3779b9u));
  b = uniform_mix(a + salt + 0x85ebca6bu);
}
DEVICE f32 uniform_at(u32 a, u32 b, u32 i) {
  u32 x = i * 0x9e3779b9u + a;
  x ^= x >> 16; x *= 0x7feb352du; x += b;
  x ^= x >> 15; x *= 0x846ca68bu; x ^= x >> 16;
  return (f32)(x >> 8) * 5.9604644775390625e-8f;
}

// exp2_approx is 2^x to 2 units in the last place, denormal results 0: the instruction of the special function unit.
DEVICE f32 exp2_approx(f32 x) {
#ifdef EMULATOR
  f32 y = exp2f(x);
  return y < 1.17549435e-38f ? 0.0f : y;
#else
  f32 y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

// rcp_approx is 1/x to 1 unit in the last place, denormal results and inputs 0: one instruction, where a division may call a
// function.
DEVICE f32 rcp_approx(f32 x) {
#ifdef EMULATOR
  return 1.0f / x;
#else
  f32 y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}
