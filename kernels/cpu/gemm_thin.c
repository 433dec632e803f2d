// The product of a thin matrix, transposed, with a long one: few rows of C and many terms in every sum. X is read once, a
// block of rows at a time, into the first-level cache, where it is widened, dropped out and rounded; the block of C stays
// there too. Every element of C is one chain of fused multiply-adds in the order of k, as in gemm.c.
#include <string.h>

#include "gemm_drop.h"
#include "isa.h"
#include "vec.h"

#define THIN_VL (GEMM_VECTOR_BYTES / 4)
#define THIN_VECTORS 3
#if GEMM_VECTOR_BYTES == 64
#define THIN_LANES 8
#else
#define THIN_LANES 4
#endif

typedef float tvf __attribute__((vector_size(GEMM_VECTOR_BYTES), may_alias));

enum { THIN_DEPTH = 64 };

// c (THIN_LANES of rank, THIN_VECTORS vectors) += the sum over n rows of p (n, ldp) and x (n, THIN_COLUMNS).
static void thin_tile(int64_t n, const float *restrict p, int64_t ldp, const float *restrict x, float *restrict c) {
    tvf s[THIN_LANES][THIN_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < THIN_LANES; i++)
#pragma GCC unroll 3
        for (int j = 0; j < THIN_VECTORS; j++) s[i][j] = *(const tvf *)(c + i * THIN_COLUMNS + j * THIN_VL);
    for (int64_t k = 0; k < n; k++) {
        tvf v[THIN_VECTORS];
#pragma GCC unroll 3
        for (int j = 0; j < THIN_VECTORS; j++) v[j] = *(const tvf *)(x + j * THIN_VL);
#pragma GCC unroll 8
        for (int i = 0; i < THIN_LANES; i++)
#pragma GCC unroll 3
            for (int j = 0; j < THIN_VECTORS; j++) s[i][j] = s[i][j] + p[i] * v[j];
        p += ldp;
        x += THIN_COLUMNS;
    }
#pragma GCC unroll 8
    for (int i = 0; i < THIN_LANES; i++)
#pragma GCC unroll 3
        for (int j = 0; j < THIN_VECTORS; j++) *(tvf *)(c + i * THIN_COLUMNS + j * THIN_VL) = s[i][j];
}

// Asks for n elements of x from element at on: they are read one block later.
static inline void thin_prefetch(const struct gemm_operand *x, int64_t at, int64_t n) {
    int64_t size = x->dtype == F32 ? 4 : 2;
    const char *from = (const char *)x->data + at * size;
    for (int64_t i = 0; i < n * size; i += 64) __builtin_prefetch(from + i, 0, 2);
}

void FN(gemm_thin)(const struct gemm_thin_args *a, int64_t lo, int64_t hi) {
    int64_t ldp = (a->rank + THIN_LANES - 1) / THIN_LANES * THIN_LANES;
    char *mem = a->mem;
    float *c = take(&mem, ldp * THIN_COLUMNS * 4);
    float *x = take(&mem, THIN_DEPTH * THIN_COLUMNS * 4);
    float *p = take(&mem, THIN_DEPTH * ldp * 4);
    memset(x, 0, THIN_DEPTH * THIN_COLUMNS * 4);
    memset(p, 0, THIN_DEPTH * ldp * 4);
    for (int64_t block = lo; block < hi; block++) {
        int64_t col = block * THIN_COLUMNS, n = min64(THIN_COLUMNS, a->x.lanes - col);
        memset(c, 0, ldp * THIN_COLUMNS * 4);
        for (int64_t k0 = 0; k0 < a->k; k0 += THIN_DEPTH) {
            int64_t depth = min64(THIN_DEPTH, a->k - k0);
            for (int64_t k = 0; k < depth; k++) {
                int64_t at = (k0 + k) * a->x.ks + col;
                float *xk = x + k * THIN_COLUMNS, *pk = p + k * ldp;
                if (k0 + k + THIN_DEPTH < a->k) thin_prefetch(&a->x, at + THIN_DEPTH * a->x.ks, n);
                if (a->drop.keys)
                    dropped(xk, a->x.data, a->x.dtype, at, &a->drop, k0 + k, (uint32_t)col, n);
                else
                    load_f32(xk, a->x.data, a->x.dtype, at, n);
                load_f32(pk, a->p, F32, (k0 + k) * a->rank, a->rank);
                if (a->bf16) {
                    for (int64_t j = 0; j < n; j++) xk[j] = f32_of_bf16(bf16_of_f32(xk[j]));
                    for (int64_t j = 0; j < a->rank; j++) pk[j] = f32_of_bf16(bf16_of_f32(pk[j]));
                }
            }
            for (int64_t i = 0; i < ldp; i += THIN_LANES)
                for (int64_t j = 0; j < n; j += THIN_VECTORS * THIN_VL)
                    thin_tile(depth, p + i, ldp, x + j, c + i * THIN_COLUMNS + j);
        }
        for (int64_t i = 0; i < a->rank; i++)
            for (int64_t j = 0; j < n; j++) a->c[i * a->crs + (col + j) * a->ccs] = a->alpha * c[i * THIN_COLUMNS + j];
    }
}
