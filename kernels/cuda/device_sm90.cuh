// What sm_90a has beyond device_sm80.cuh: barriers in shared memory (mbarrier), copies of boxes of tensors by the copy engine
// (TMA), products of 64xN by a warpgroup whose operands lie in shared memory (wgmma), registers handed between warps.
//
// Names: tensor_map; mbarrier_init, mbarrier_init_fence, mbarrier_arrive, mbarrier_expect, mbarrier_wait; tma_load_2d,
// tma_load_3d, tma_prefetch; fence_async; matrix_k, matrix_mn; wgmma_fence, wgmma<N>, wgmma_ra<N>, wgmma_commit,
// wgmma_wait<P>, wgmma_hold; registers_down<R>, registers_up<R>; and bar_sync, bar_arrive of device_sm80.cuh.
//
// How a loop of loads and products goes, with full[] and empty[] barriers a stage and a stage's parity turning each round:
//   one thread: mbarrier_init(full, 1), mbarrier_init(empty, consumers), mbarrier_init_fence(); all: __syncthreads()
//   producer:   mbarrier_wait(empty, parity ^ 1); mbarrier_expect(full, bytes of all loads); tma_load_2d(..., full) ...
//   consumers:  mbarrier_wait(full, parity); wgmma_fence(); wgmma<N>(d, a, b, 1) ...; wgmma_commit(); wgmma_wait<0>();
//               wgmma_hold(d); mbarrier_arrive(empty)
//
// Shared memory has two ways in: ordinary accesses, and the asynchronous one of TMA and wgmma. What threads have written
// (with cp_async16, too) is seen by wgmma only if they call fence_async() after it and then meet those who call wgmma. What
// TMA has written is seen by all who have waited at its barrier.
#pragma once
#include "device_sm80.cuh"

// tensor_map stands for a CUtensorMap in an argument struct: at a multiple of 64 bytes; the executor fills it in.
struct alignas(64) tensor_map { u64 opaque[16]; };

#ifdef EMULATOR
DEVICE u32 shared_address(const void *p) { return (u32)((const u8 *)p - shared_memory()); }
#endif

// An mbarrier is 8 bytes of shared memory that count arrivals and bytes. Its phase ends when as many have arrived as init
// said and as many bytes have come as were expected; then the next one begins. The first phase has parity 0.
DEVICE void mbarrier_init(u64 *bar, u32 arrivals) {
#ifdef EMULATOR
  emu_mbarrier_init(bar, arrivals);
#else
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(bar)), "r"(arrivals) : "memory");
#endif
}

// mbarrier_init_fence lets the copy engine see barriers that this thread has made. Other threads meet it after that.
DEVICE void mbarrier_init_fence() {
#ifdef EMULATOR
  emu_mbarrier_init_fence();
#else
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
DEVICE void mbarrier_arrive(u64 *bar) {
#ifdef EMULATOR
  emu_mbarrier_arrive(bar, 0);
#else
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(bar)) : "memory");
#endif
}

// mbarrier_expect arrives, and has the phase wait for so many bytes more.
DEVICE void mbarrier_expect(u64 *bar, u32 bytes) {
#ifdef EMULATOR
  emu_mbarrier_arrive(bar, bytes);
#else
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(bar)), "r"(bytes) : "memory");
#endif
}

// mbarrier_wait waits for the end of the phase of that parity: the current one, or the one before, which has ended. So at a
// new barrier parity 1 does not wait.
DEVICE void mbarrier_wait(u64 *bar, u32 parity) {
#ifdef EMULATOR
  emu_mbarrier_wait(bar, parity);
#else
  asm volatile(
      "{ .reg .pred p;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
      "@p bra done;\n"
      "bra again;\n"
      "done: }" ::"r"(shared_address(bar)), "r"(parity) : "memory");
#endif
}

// tma_load_2d and _3d copy the box of map at (x, y, z), elements, the innermost dimension first, to dst, at a multiple of 128
// bytes (1024 where the map swizzles by 128, 512 by 64, 256 by 32). Box elements outside of the tensor become 0 and count as
// bytes, too. One thread calls it. Swizzled: with the box's rows of exactly so many bytes, the 16-byte piece at offset o of
// dst is stored at o ^ (o >> 3 & 0x70) for 128, & 0x30 for 64, & 0x10 for 32.
DEVICE void tma_load_2d(void *dst, const tensor_map *map, i32 x, i32 y, u64 *bar) {
#ifdef EMULATOR
  i32 at[2] = {x, y};
  emu_tma_load(dst, map, at, 2, bar);
#else
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(dst)),
               "l"(map), "r"(shared_address(bar)), "r"(x), "r"(y) : "memory");
#endif
}
DEVICE void tma_load_3d(void *dst, const tensor_map *map, i32 x, i32 y, i32 z, u64 *bar) {
#ifdef EMULATOR
  i32 at[3] = {x, y, z};
  emu_tma_load(dst, map, at, 3, bar);
#else
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared_address(dst)),
               "l"(map), "r"(shared_address(bar)), "r"(x), "r"(y), "r"(z) : "memory");
#endif
}

// tma_prefetch brings the map near; the first load by it is faster then.
DEVICE void tma_prefetch(const tensor_map *map) {
#ifndef EMULATOR
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#endif
}

// fence_async: what this thread has written to shared memory, and what it has seen of others, is seen by wgmma and TMA.
DEVICE void fence_async() {
#ifdef EMULATOR
  emu_fence_async();
#else
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// Descriptors of operands in shared memory, bf16, swizzled by 128 bytes as TMA does: rows of 64 elements, 8 of which make an
// atom of 1024 bytes that begins at a multiple of 1024.
// matrix_k: K runs along the rows of the atom (A as (M, K), B as (N, K)). stride is the bytes from 8 rows to the next 8, 1024
// where they follow each other. The next 16 of K are 32 bytes on (the descriptor + 2), the next 64 in another tile.
// matrix_mn: M or N runs along the rows (A as (K, M), B as (K, N)): give wgmma TA or TB = 1. lead is the bytes from 64 of M or
// N to the next 64, stride those from 8 of K to the next 8. The next 16 of K are 2 stride on (the descriptor + stride/8).
DEVICE u64 matrix_desc(const void *p, u32 lead, u32 stride) {
  return (u64)(shared_address(p) >> 4 & 0x3fff) | (u64)(lead >> 4) << 16 | (u64)(stride >> 4) << 32 | (u64)1 << 62;
}
DEVICE u64 matrix_k(const void *p, u32 stride = 1024) { return matrix_desc(p, 16, stride); }
DEVICE u64 matrix_mn(const void *p, u32 lead, u32 stride = 1024) { return matrix_desc(p, lead, stride); }

// wgmma_fence comes before the first wgmma, and before one whose accumulators or registers of A have been touched by anything
// but wgmma. All of the wgmma functions are for the 128 threads of a warpgroup (4 warps from a multiple of 4 on) together.
DEVICE void wgmma_fence() {
#ifdef EMULATOR
  emu_wgmma_fence();
#else
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

// wgmma_commit ends a group of products. wgmma_wait<P> waits until at most the P youngest groups are under way; their
// accumulators are not to be touched before, nor what they read be written.
DEVICE void wgmma_commit() {
#ifdef EMULATOR
  emu_wgmma_commit();
#else
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
template <int P> DEVICE void wgmma_wait() {
#ifdef EMULATOR
  emu_wgmma_wait(P);
#else
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(P) : "memory");
#endif
}

// wgmma_hold keeps the compiler from moving accesses of d across it: called after the wait that d needs, before d is used, and
// after d was set or scaled, before wgmma_fence.
template <int R> DEVICE void wgmma_hold(f32 (&d)[R]) {
#ifndef EMULATOR
  UNROLL for (int i = 0; i < R; i++) asm volatile("" : "+f"(d[i])::"memory");
#endif
}

// registers_down gives registers of this warpgroup back, so that each thread has R; registers_up waits for as many. R is a
// multiple of 8 from 24 to 256.
template <int R> DEVICE void registers_down() {
  static_assert(R % 8 == 0 && R >= 24 && R <= 256, "registers come in eights");
#ifndef EMULATOR
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(R));
#endif
}
template <int R> DEVICE void registers_up() {
  static_assert(R % 8 == 0 && R >= 24 && R <= 256, "registers come in eights");
#ifndef EMULATOR
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(R));
#endif
}

// wgmma<N, TA, TB> is d = a b (accumulate 0) or d += a b for a of 64x16 and b of 16xN by their descriptors; TA and TB are 1
// for matrix_mn. wgmma_ra has a in registers, in mma_bf16's fragment, rows 16w to 16w+15 with warp w of the warpgroup. Thread
// t has in d[i] the element of row 16(t/32) + t%32/4 + 8(i/2%2) and column 8(i/4) + 2(t%4) + i%2, so that d[4n..4n+3] is d of
// mma_bf16 for columns 8n to 8n+7. N is 32, 64, 96, 128, 192 or 256.
#ifdef EMULATOR
template <int N, int TA = 0, int TB = 0> DEVICE void wgmma(f32 (&d)[N / 2], u64 a, u64 b, u32 accumulate) {
  emu_wgmma(d, N, nullptr, a, b, accumulate, TA, TB);
}
template <int N, int TB = 0> DEVICE void wgmma_ra(f32 (&d)[N / 2], const u32 (&a)[4], u64 b, u32 accumulate) {
  emu_wgmma(d, N, a, 0, b, accumulate, 0, TB);
}
#else
#define WGMMA_R0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define WGMMA_R1 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define WGMMA_R2 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define WGMMA_R3 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define WGMMA_R4 "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define WGMMA_R5 "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define WGMMA_R6 "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111"
#define WGMMA_R7 "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define WGMMA_O4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WGMMA_O16(i) WGMMA_O4(i), WGMMA_O4(i + 4), WGMMA_O4(i + 8), WGMMA_O4(i + 12)
#define WGMMA_O32(i) WGMMA_O16(i), WGMMA_O16(i + 16)
#define WGMMA_O64(i) WGMMA_O32(i), WGMMA_O32(i + 32)
// WGMMA(N, words, ...) defines both forms for one N: the names of its N/2 registers, and of the seven operands after them.
#define WGMMA(N, REGISTERS, P0, P1, P2, P3, P4, P5, P6, ...)                                                                              \
  template <int TA, int TB> DEVICE void wgmma_##N(f32 (&d)[N / 2], u64 a, u64 b, u32 accumulate) {                                        \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, " P2 ", 0;\n"                                                                            \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" REGISTERS "}, " P0 ", " P1 ", p, 1, 1, " P3 ", " P4 "; }"   \
                 : __VA_ARGS__ : "l"(a), "l"(b), "r"(accumulate), "n"(TA), "n"(TB));                                                      \
  }                                                                                                                                       \
  template <int TB> DEVICE void wgmma_ra_##N(f32 (&d)[N / 2], const u32 (&a)[4], u64 b, u32 accumulate) {                                 \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, " P5 ", 0;\n"                                                                            \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" REGISTERS "}, {" P0 "," P1 "," P2 "," P3 "}, " P4           \
                 ", p, 1, 1, " P6 "; }"                                                                                                   \
                 : __VA_ARGS__ : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(TB));                           \
  }
WGMMA(32, WGMMA_R0, "%16", "%17", "%18", "%19", "%20", "%21", "%22", WGMMA_O16(0))
WGMMA(64, WGMMA_R0 "," WGMMA_R1, "%32", "%33", "%34", "%35", "%36", "%37", "%38", WGMMA_O32(0))
WGMMA(96, WGMMA_R0 "," WGMMA_R1 "," WGMMA_R2, "%48", "%49", "%50", "%51", "%52", "%53", "%54", WGMMA_O32(0), WGMMA_O16(32))
WGMMA(128, WGMMA_R0 "," WGMMA_R1 "," WGMMA_R2 "," WGMMA_R3, "%64", "%65", "%66", "%67", "%68", "%69", "%70", WGMMA_O64(0))
WGMMA(192, WGMMA_R0 "," WGMMA_R1 "," WGMMA_R2 "," WGMMA_R3 "," WGMMA_R4 "," WGMMA_R5, "%96", "%97", "%98", "%99", "%100", "%101", "%102",
      WGMMA_O64(0), WGMMA_O32(64))
WGMMA(256, WGMMA_R0 "," WGMMA_R1 "," WGMMA_R2 "," WGMMA_R3 "," WGMMA_R4 "," WGMMA_R5 "," WGMMA_R6 "," WGMMA_R7, "%128", "%129", "%130", "%131",
      "%132", "%133", "%134", WGMMA_O64(0), WGMMA_O64(64))

template <int N, int TA = 0, int TB = 0> DEVICE void wgmma(f32 (&d)[N / 2], u64 a, u64 b, u32 accumulate) {
  if constexpr (N == 32) wgmma_32<TA, TB>(d, a, b, accumulate);
  else if constexpr (N == 64) wgmma_64<TA, TB>(d, a, b, accumulate);
  else if constexpr (N == 96) wgmma_96<TA, TB>(d, a, b, accumulate);
  else if constexpr (N == 128) wgmma_128<TA, TB>(d, a, b, accumulate);
  else if constexpr (N == 192) wgmma_192<TA, TB>(d, a, b, accumulate);
  else wgmma_256<TA, TB>(d, a, b, accumulate);
}
template <int N, int TB = 0> DEVICE void wgmma_ra(f32 (&d)[N / 2], const u32 (&a)[4], u64 b, u32 accumulate) {
  if constexpr (N == 32) wgmma_ra_32<TB>(d, a, b, accumulate);
  else if constexpr (N == 64) wgmma_ra_64<TB>(d, a, b, accumulate);
  else if constexpr (N == 96) wgmma_ra_96<TB>(d, a, b, accumulate);
  else if constexpr (N == 128) wgmma_ra_128<TB>(d, a, b, accumulate);
  else if constexpr (N == 192) wgmma_ra_192<TB>(d, a, b, accumulate);
  else wgmma_ra_256<TB>(d, a, b, accumulate);
}
#endif
