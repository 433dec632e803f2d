// What sm_80 and later have beyond device.cuh: products of 16x16 by 16x8 matrices by a warp, loads of their operands from
// shared memory, copies to shared memory that do not wait. Names: ldmatrix_x4, ldmatrix_x4_trans, ldmatrix_x2,
// ldmatrix_x2_trans, mma_bf16, mma_bf16_row<N>, cp_async16, cp_async_commit, cp_async_wait<N>, bar_sync, bar_arrive. Shared memory is given by
// ordinary pointers into shared<T>(). All but cp_async* are collective: every lane of the warp calls them together.
#pragma once
#include "device.cuh"

#ifndef EMULATOR
// shared_address is where p, which points into shared memory, lies in it: what instructions on shared memory take.
DEVICE u32 shared_address(const void *p) {
  u32 a;
  asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(a) : "l"(p));
  return a;
}
#endif

// ldmatrix loads 8x8 matrices of bf16 from shared memory, whose rows of 16 bytes (at multiples of 16) may lie anywhere: lane
// l gives the address of row l%8 of matrix l/8 (of x2, lanes 16 to 31 give any valid one). Lane l then has in r[m] of matrix m
// the elements [l/4][2(l%4)] (low half) and [l/4][2(l%4)+1]; the trans forms give it those of the transposed matrix,
// [2(l%4)][l/4] and [2(l%4)+1][l/4].
DEVICE void ldmatrix_x4(u32 (&r)[4], const void *row) {
#ifdef EMULATOR
  emu_ldmatrix(r, 4, false, row);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
#endif
}
DEVICE void ldmatrix_x4_trans(u32 (&r)[4], const void *row) {
#ifdef EMULATOR
  emu_ldmatrix(r, 4, true, row);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
#endif
}
DEVICE void ldmatrix_x2(u32 (&r)[2], const void *row) {
#ifdef EMULATOR
  emu_ldmatrix(r, 2, false, row);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
#endif
}
DEVICE void ldmatrix_x2_trans(u32 (&r)[2], const void *row) {
#ifdef EMULATOR
  emu_ldmatrix(r, 2, true, row);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
#endif
}

// mma_bf16 is d += a b for a of 16x16 and b of 16x8 bf16 and d of 16x8 f32. With g = l/4 and t = l%4 lane l holds, two
// elements a word and the lower column (of b: row) in the low half:
//   a[0] = a[g][2t..], a[1] = a[g+8][2t..], a[2] = a[g][2t+8..], a[3] = a[g+8][2t+8..]
//   b[0] = b[2t..][g], b[1] = b[2t+8..][g]
//   d[0] = d[g][2t], d[1] = d[g][2t+1], d[2] = d[g+8][2t], d[3] = d[g+8][2t+1]
// So d of two neighbours in n, as bf16, is a of a next product: a = {d0[0..1], d0[2..3], d1[0..1], d1[2..3]}. An x4 load of
// row-major a is its four words where matrices 0..3 are rows 0-7, rows 8-15, rows 0-7 of columns 8-15, rows 8-15 of columns
// 8-15. b from rows of n (b^T row-major) is the plain x2 load, from rows of k the trans one.
DEVICE void mma_bf16(f32 (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
#ifdef EMULATOR
  emu_mma_bf16(&d, a, &b, 1);
#else
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// mma_bf16_row is d[n] += a b[n] for n from 0 to N-1: the emulator meets once for all of them.
template <int N> DEVICE void mma_bf16_row(f32 (&d)[N][4], const u32 (&a)[4], const u32 (&b)[N][2]) {
#ifdef EMULATOR
  emu_mma_bf16(d, a, b, N);
#else
  UNROLL for (int n = 0; n < N; n++) mma_bf16(d[n], a, b[n]);
#endif
}

// cp_async16 copies 16 bytes from global to shared memory, both at multiples of 16, without waiting. Only the first bytes (0
// to 16) are read; the rest of the 16 become 0, and src is not touched where bytes is 0.
DEVICE void cp_async16(void *dst, const void *src, u32 bytes = 16) {
#ifdef EMULATOR
  emu_cp_async(dst, src, 16, bytes);
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(dst)), "l"(src), "r"(bytes) : "memory");
#endif
}

// cp_async_commit ends a group of the copies of this thread since the last one. cp_async_wait<N> waits until at most the N
// youngest groups of this thread are under way; after it and a barrier every thread sees the copies of the others.
DEVICE void cp_async_commit() {
#ifdef EMULATOR
  emu_cp_async_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int N> DEVICE void cp_async_wait() {
#ifdef EMULATOR
  emu_cp_async_wait(N);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

// bar_sync waits at barrier id (1 to 15; 0 is __syncthreads) until so many threads, a multiple of 32, have come to it by
// bar_sync or bar_arrive, of which the latter does not wait. All lanes of a warp come together.
DEVICE void bar_sync(u32 id, u32 threads) {
#ifdef EMULATOR
  emu_barrier(id, threads, true);
#else
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#endif
}
DEVICE void bar_arrive(u32 id, u32 threads) {
#ifdef EMULATOR
  emu_barrier(id, threads, false);
#else
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
#endif
}
