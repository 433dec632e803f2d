// The words of CUDA for a C++ compiler on the host, included before every .cu file that is built for the emulator: those that
// kernels use, to which a new one is added. What stands here is what kernels see; the emulator itself is in the .cpp files. A GPU thread is a fiber: it runs until it
// meets others (a barrier, a shuffle, a product of matrices) and then the next one runs.
#pragma once
#ifndef __x86_64__
#error "the emulator's fibers are written for x86-64"
#endif
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#pragma GCC visibility push(default)
struct emu_dim3 { uint32_t x, y, z; };
struct emu_block_view {
  emu_dim3 block_idx, block_dim, grid_dim;
  uint8_t *shared;
};
struct emu_thread_view {
  emu_dim3 thread_idx;
  uint32_t lane;
  const emu_block_view *in;
};
// Initial-exec, as a thread-local variable of another library otherwise costs a call each time.
extern thread_local emu_thread_view *emu_self __attribute__((tls_model("initial-exec")));

#define threadIdx (emu_self->thread_idx)
#define blockIdx (emu_self->in->block_idx)
#define blockDim (emu_self->in->block_dim)
#define gridDim (emu_self->in->grid_dim)
static inline uint8_t *shared_memory() { return emu_self->in->shared; }

#define EMU_INLINE static inline __attribute__((always_inline))

// A kernel library's constructors tell its kernels to libemu.so.
extern "C" void emu_register(const char *name, size_t args_bytes, uint32_t threads, void (*body)(const void *args), const char *file);
#define EMU_KERNEL(name, type, threads)                                                                          \
  static void name##_kernel(const type &args);                                                                   \
  static void name##_entry(const void *args) { name##_kernel(*(const type *)args); }                             \
  __attribute__((constructor)) static void name##_register() {                                                   \
    emu_register(#name, sizeof(type), threads, name##_entry, __FILE__);                                          \
  }                                                                                                              \
  static void name##_kernel(const type &args)

extern "C" {
// Meetings of a block. count 0 is every thread of the block that has not ended.
void emu_barrier(uint32_t id, uint32_t count, bool wait);
// Meetings of the lanes in mask.
void emu_syncwarp(uint32_t mask);
uint32_t emu_vote(uint32_t mask, bool yes);
enum { EMU_SHFL_AT, EMU_SHFL_XOR };
uint64_t emu_shfl(uint32_t mask, uint64_t v, uint32_t how, int32_t by, uint32_t width);
// Meetings of a warp, see device_sm80.cuh.
void emu_ldmatrix(uint32_t *r, int32_t matrices, bool trans, const void *row);
void emu_mma_bf16(float (*d)[4], const uint32_t *a, const uint32_t (*b)[2], int32_t n);
// Copies of a thread, see device_sm80.cuh.
void emu_cp_async(void *dst, const void *src, uint32_t size, uint32_t bytes);
void emu_cp_async_commit();
void emu_cp_async_wait(uint32_t pending);
// Of sm_90a, see device_sm90.cuh. map is a CUtensorMap as tensormap.h has it; a is null where it is a descriptor.
void emu_mbarrier_init(unsigned long long *bar, uint32_t arrivals);
void emu_mbarrier_init_fence();
void emu_mbarrier_arrive(unsigned long long *bar, uint32_t bytes);
void emu_mbarrier_wait(unsigned long long *bar, uint32_t parity);
void emu_tma_load(void *dst, const void *map, const int32_t *at, uint32_t rank, unsigned long long *bar);
void emu_fence_async();
void emu_wgmma_fence();
void emu_wgmma_commit();
void emu_wgmma_wait(uint32_t pending);
void emu_wgmma(float *d, uint32_t n, const uint32_t *a, uint64_t a_desc, uint64_t b_desc, uint32_t accumulate, uint32_t ta, uint32_t tb);
// emu_misaligned ends the launch: p is no multiple of size.
void emu_misaligned(const void *p, uint32_t size);
}

#pragma GCC visibility pop

EMU_INLINE void __syncthreads() { emu_barrier(0, 0, true); }
EMU_INLINE void __syncwarp(uint32_t mask = 0xffffffffu) { emu_syncwarp(mask); }
EMU_INLINE uint32_t __ballot_sync(uint32_t mask, int p) { return emu_vote(mask, p != 0); }

template <class T> EMU_INLINE T emu_shuffle(uint32_t mask, T v, uint32_t how, int by, int width) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
  uint64_t w = 0;
  memcpy(&w, &v, sizeof v);
  w = emu_shfl(mask, w, how, by, (uint32_t)width);
  memcpy(&v, &w, sizeof v);
  return v;
}
template <class T> EMU_INLINE T __shfl_sync(uint32_t m, T v, int lane, int width = 32) { return emu_shuffle(m, v, EMU_SHFL_AT, lane, width); }
template <class T> EMU_INLINE T __shfl_xor_sync(uint32_t m, T v, int x, int width = 32) { return emu_shuffle(m, v, EMU_SHFL_XOR, x, width); }

// emu_vector is four elements that are loaded and stored together; the processor would allow any address.
template <class T> struct alignas(16) emu_vector {
  T x, y, z, w;
  emu_vector() = default;
  emu_vector(T x, T y, T z, T w) : x(x), y(y), z(z), w(w) {}
  emu_vector(const emu_vector &v) : x(v.x), y(v.y), z(v.z), w(v.w) { check(&v); }
  emu_vector &operator=(const emu_vector &v) {
    check(&v);
    check(this);
    x = v.x, y = v.y, z = v.z, w = v.w;
    return *this;
  }
  __attribute__((always_inline)) static void check(const void *p) {
    if ((uintptr_t)p % 16) emu_misaligned(p, 16);
  }
};

EMU_INLINE int __popc(uint32_t x) { return __builtin_popcount(x); }
EMU_INLINE int __ffs(int x) { return __builtin_ffs(x); }
