// Loads, stores and sums that the kernel bodies share. GCC vectorises the loops for the set being compiled.
#ifndef ATTUNE_VEC_H
#define ATTUNE_VEC_H

#include <stdint.h>

static inline float f32_of_bits(uint32_t u) {
    union { uint32_t u; float f; } x = {.u = u};
    return x.f;
}

static inline uint32_t bits_of_f32(float f) {
    union { float f; uint32_t u; } x = {.f = f};
    return x.u;
}

static inline float f32_of_bf16(uint16_t h) { return f32_of_bits((uint32_t)h << 16); }

// Round to nearest even; NaN stays NaN.
static inline uint16_t bf16_of_f32(float f) {
    uint32_t u = bits_of_f32(f);
    uint32_t r = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    uint32_t nan = (u >> 16) | 0x40;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? nan : r);
}

// n elements from element offset at of a (storage dtype dt) to float32.
static inline void load_f32(float *restrict dst, const void *src, int dt, int64_t at, int64_t n) {
    if (dt == F32) {
        const float *s = (const float *)src + at;
        for (int64_t i = 0; i < n; i++) dst[i] = s[i];
    } else {
        const uint16_t *s = (const uint16_t *)src + at;
        for (int64_t i = 0; i < n; i++) dst[i] = f32_of_bf16(s[i]);
    }
}

// n float32 to storage dtype dt, rounded.
static inline void store_f32(void *dst, int dt, int64_t at, const float *restrict src, int64_t n) {
    if (dt == F32) {
        float *d = (float *)dst + at;
        for (int64_t i = 0; i < n; i++) d[i] = src[i];
    } else {
        uint16_t *d = (uint16_t *)dst + at;
        for (int64_t i = 0; i < n; i++) d[i] = bf16_of_f32(src[i]);
    }
}

static inline float load1(const void *src, int dt, int64_t at) {
    return dt == F32 ? ((const float *)src)[at] : f32_of_bf16(((const uint16_t *)src)[at]);
}

static inline void store1(void *dst, int dt, int64_t at, float f) {
    if (dt == F32) ((float *)dst)[at] = f;
    else ((uint16_t *)dst)[at] = bf16_of_f32(f);
}

#endif
