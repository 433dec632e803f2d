// Dropout by kernels.Uniform, and what else gemm.c and gemm_thin.c share.
#ifndef ATTUNE_GEMM_DROP_H
#define ATTUNE_GEMM_DROP_H

#include "isa.h"
#include "vec.h"

#define ALWAYS static inline __attribute__((always_inline))

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

// The next bytes of a worker's memory, on a cache line of their own.
static inline void *take(char **mem, int64_t bytes) {
    void *p = *mem;
    *mem += (bytes + 63) & ~(int64_t)63;
    return p;
}

static inline uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352d;
    x ^= x >> 15;
    x *= 0x846ca68b;
    return x ^ x >> 16;
}

struct row_state { uint32_t a, b; };

// kernels.UniformRow.
static inline struct row_state uniform_row(const struct gemm_drop *d, int64_t row) {
    uint32_t a = mix((uint32_t)d->keys[row] ^ mix(d->salt + 0x9e3779b9));
    return (struct row_state){a, mix(a + d->salt + 0x85ebca6b)};
}

// kept is keep or 0 for element i of a row: kernels.UniformAt against the threshold.
ALWAYS float kept(const struct gemm_drop *d, struct row_state s, uint32_t i) {
    uint32_t x = i * 0x9e3779b9 + s.a;
    x ^= x >> 16;
    x *= 0x7feb352d;
    x += s.b;
    x ^= x >> 15;
    x *= 0x846ca68b;
    x ^= x >> 16;
    return x >> 8 >= d->threshold ? d->keep : 0.0f;
}

// dst[0..n) = drop(x[row, at..at+n)); a dropped infinity or NaN is 0 too.
static inline void dropped(float *restrict dst, const void *x, int dtype, int64_t at, const struct gemm_drop *d, int64_t row,
                    uint32_t i0, int64_t n) {
    struct row_state s = uniform_row(d, row);
    load_f32(dst, x, dtype, at, n);
    for (int64_t i = 0; i < n; i++) {
        float f = kept(d, s, i0 + (uint32_t)i);
        dst[i] = f == 0.0f ? 0.0f : dst[i] * f;
    }
}

#endif
