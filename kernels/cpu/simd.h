// A vector of floats as wide as the instruction set being compiled for, in GCC/Clang vector extensions: the
// kernels of rows, elements and attention are written once with it. Values are stored as float32 or bfloat16 (the dt
// arguments, F32 or BF16), computed in float32 and rounded once when stored, to nearest even.
#ifndef ATTUNE_SIMD_H
#define ATTUNE_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include <immintrin.h>
#define VW 16
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VW 8
#else
#define VW 4
#endif

#define INLINE static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("GCC unroll 16")

typedef float vf __attribute__((vector_size(4 * VW)));
typedef int32_t vi __attribute__((vector_size(4 * VW)));
typedef uint32_t vu __attribute__((vector_size(4 * VW)));
typedef uint16_t vh __attribute__((vector_size(2 * VW)));
typedef double vd __attribute__((vector_size(4 * VW))); // VW/2 doubles

// The same types at any address.
typedef float vf_mem __attribute__((vector_size(4 * VW), aligned(4), may_alias));
typedef uint16_t vh_mem __attribute__((vector_size(2 * VW), aligned(2), may_alias));
typedef float vf_half_mem __attribute__((vector_size(2 * VW), aligned(4), may_alias));

INLINE vf vset(float x) { return x - (vf){0}; }
INLINE vf vload(const float *p) { return *(const vf_mem *)p; }
INLINE void vstore(float *p, vf x) { *(vf_mem *)p = x; }

// vselect is a where the mask (all bits or none, as comparisons give) is set, otherwise b.
INLINE vf vselect(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }

INLINE vi viota(void) {
#if VW == 16
    return (vi){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif VW == 8
    return (vi){0, 1, 2, 3, 4, 5, 6, 7};
#else
    return (vi){0, 1, 2, 3};
#endif
}

// vfma is a*b + c, rounded once where the machine can.
INLINE vf vfma(vf a, vf b, vf c) {
#if VW == 16
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VW == 8
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

// vround forbids the compiler to fuse the operation that made x with the next one: x is rounded to float32.
INLINE vf vround(vf x) {
#if defined(__x86_64__)
    __asm__("" : "+v"(x));
#elif defined(__aarch64__)
    __asm__("" : "+w"(x));
#else
    __asm__("" : "+m"(x));
#endif
    return x;
}

INLINE vf vmax(vf a, vf b) {
#if VW == 16
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif VW == 8
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vselect(a > b, a, b);
#endif
}

INLINE vf vmin(vf a, vf b) {
#if VW == 16
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif VW == 8
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return vselect(a < b, a, b);
#endif
}

INLINE vf vsqrt(vf a) {
#if VW == 16
    return (vf)_mm512_sqrt_ps((__m512)a);
#elif VW == 8
    return (vf)_mm256_sqrt_ps((__m256)a);
#else
    vf r;
    for (int i = 0; i < VW; i++) r[i] = sqrtf(a[i]);
    return r;
#endif
}

// vsum adds the elements as a binary tree: the same order on every run of one instruction set.
INLINE float vsum(vf a) {
#if VW == 16
    return _mm512_reduce_add_ps((__m512)a);
#else
    float t[VW];
    vstore(t, a);
    UNROLL for (int h = VW / 2; h > 0; h /= 2) {
        UNROLL for (int i = 0; i < h; i++) t[i] += t[i + h];
    }
    return t[0];
#endif
}

INLINE float vmax_all(vf a) {
#if VW == 16
    return _mm512_reduce_max_ps((__m512)a);
#else
    float m = a[0];
    UNROLL for (int i = 1; i < VW; i++) m = a[i] > m ? a[i] : m;
    return m;
#endif
}

// vany_greater is whether any element of a is larger than b's.
INLINE int vany_greater(vf a, vf b) {
#if VW == 16
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ) != 0;
#elif VW == 8
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)) != 0;
#else
    vi greater = a > b;
    int any = 0;
    UNROLL for (int i = 0; i < VW; i++) any |= greater[i];
    return any;
#endif
}

// Loads and stores of a stored value: element i of p, an array of dtype dt.

INLINE vf vwiden(vh x) {
#if VW == 16
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)x), 16);
#elif VW == 8
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)x), 16);
#else
    return (vf)(__builtin_convertvector(x, vu) << 16);
#endif
}

// vnarrow rounds to nearest even; NaN stays NaN. Not vcvtneps2bf16, which takes denormals for 0.
INLINE vh vnarrow(vf x) {
    vu u = (vu)x;
    vu r = u + 0x7fff + ((u >> 16) & 1);
#if VW == 16
    __mmask16 nan = _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_UNORD_Q);
    __m512i t = _mm512_mask_or_epi32((__m512i)r, nan, (__m512i)u, _mm512_set1_epi32(0x400000));
    return (vh)_mm512_cvtepi32_epi16(_mm512_srli_epi32(t, 16));
#else
    vi nan = x != x;
    r = (((vu)nan & (u | 0x400000)) | (~(vu)nan & r)) >> 16;
#if VW == 8
    __m256i p = _mm256_packus_epi32((__m256i)r, (__m256i)r);
    return (vh)_mm256_castsi256_si128(_mm256_permute4x64_epi64(p, 0x88));
#else
    return __builtin_convertvector(r, vh);
#endif
#endif
}

INLINE vf vget(const void *p, int64_t i, int dt) {
    if (dt == BF16) return vwiden(*(const vh_mem *)((const uint16_t *)p + i));
    return vload((const float *)p + i);
}

INLINE void vput(void *p, int64_t i, int dt, vf x) {
    if (dt == BF16)
        *(vh_mem *)((uint16_t *)p + i) = vnarrow(x);
    else
        vstore((float *)p + i, x);
}

// The first n elements only; the others read as 0.
INLINE vf vget_n(const void *p, int64_t i, int dt, int64_t n) {
    if (n >= VW) return vget(p, i, dt);
    if (dt == BF16) {
        uint16_t t[VW] = {0};
        memcpy(t, (const uint16_t *)p + i, 2 * n);
        return vget(t, 0, BF16);
    }
    float t[VW] = {0};
    memcpy(t, (const float *)p + i, 4 * n);
    return vload(t);
}

INLINE void vput_n(void *p, int64_t i, int dt, vf x, int64_t n) {
    if (n >= VW) {
        vput(p, i, dt, x);
    } else if (dt == BF16) {
        uint16_t t[VW];
        vput(t, 0, BF16, x);
        memcpy((uint16_t *)p + i, t, 2 * n);
    } else {
        float t[VW];
        vstore(t, x);
        memcpy((float *)p + i, t, 4 * n);
    }
}

// vexp: e^x to about 1 ulp; 0 below -87.33, no more than e^88.37 above that; NaN stays NaN. The algorithm of fast_expf.
INLINE vf vexp(vf x) {
    vi under = x < -87.33f, nan = x != x;
    vf c = vmin(vset(88.37f), vmax(vset(-87.33f), x));
    vf shift = vset(12582912.0f);
    vf t = vround(vfma(c, vset(1.44269504f), shift));
    vf n = vround(t - shift);
    vf r = vfma(n, vset(-0.693359375f), c);
    r = vfma(n, vset(2.12194440e-4f), r);
    vf p = vfma(r, vset(1.9875691500e-4f), vset(1.3981999507e-3f));
    p = vfma(p, r, vset(8.3334519073e-3f));
    p = vfma(p, r, vset(4.1665795894e-2f));
    p = vfma(p, r, vset(1.6666665459e-1f));
    p = vfma(p, r, vset(5.0000001201e-1f));
    p = vfma(p, r * r, r) + 1.0f;
    vi y = ((vi)p + ((vi)t << 23)) & ~under;
    return vselect(nan, x, (vf)y);
}

// vexp2: 2^x to about 1 ulp; 0 below -126, NaN stays NaN; for x < 128. The polynomial of Cephes' exp2f.
INLINE vf vexp2(vf x) {
#if VW == 16 // not scalef, which is slow when the result is 0
    __mmask16 positive = _mm512_cmp_ps_mask((__m512)x, (__m512)vset(-126.0f), _CMP_NLT_UQ);
    x = vmax(vset(-126.0f), x);
    __m512i e = _mm512_cvtps_epi32((__m512)x);
    vf n = (vf)_mm512_cvtepi32_ps(e);
#else
    vi zero = x < -126.0f, nan = x != x;
    x = vmax(vset(-126.0f), x);
    vf t = vround(x + 12582912.0f), n = vround(t - 12582912.0f);
#endif
    vf f = x - n;
    vf p = vfma(f, vset(1.535336188319500e-4f), vset(1.339887440266574e-3f));
    p = vfma(p, f, vset(9.618437357674640e-3f));
    p = vfma(p, f, vset(5.550332471162809e-2f));
    p = vfma(p, f, vset(2.402264791363012e-1f));
    p = vfma(p, f, vset(6.931472028550421e-1f));
    p = vfma(p, f, vset(1.0f));
#if VW == 16
    return (vf)_mm512_maskz_add_epi32(positive, (__m512i)p, _mm512_slli_epi32(e, 23));
#else
    return vselect(nan, x, (vf)(((vi)p + ((vi)t << 23)) & ~zero));
#endif
}

// vtanh to a few ulp: the polynomial of Cephes' tanhf near 0, exponentials elsewhere.
INLINE vf vtanh(vf x) {
    vi sign = (vi)x & (int32_t)0x80000000;
    vf a = (vf)((vi)x & 0x7fffffff);
    vf z = x * x;
    vf p = vfma(z, vset(-5.70498872745e-3f), vset(2.06390887954e-2f));
    p = vfma(p, z, vset(-5.37397155531e-2f));
    p = vfma(p, z, vset(1.33314422036e-1f));
    p = vfma(p, z, vset(-3.33332819422e-1f));
    p = vfma(p * z, x, x);
    vf q = 1.0f - 2.0f / (vexp(2.0f * a) + 1.0f);
    return vselect(a < 0.625f, p, (vf)((vi)q | sign));
}

// verf to about 1 ulp: two polynomials, the second inside an exponential.
INLINE vf verf(vf x) {
    vf a = (vf)((vi)x & 0x7fffffff);
    vf s = x * x;
    vf u = vfma(vset(-3.88396438e-3f), a, vset(2.42546219e-2f));
    vf r = vfma(vset(-1.72853470e-5f), a, vset(3.83197126e-4f));
    r = vfma(r, s, u);
    r = vfma(r, a, vset(-1.06777877e-1f));
    r = vfma(r, a, vset(-6.34846687e-1f));
    r = vfma(r, a, vset(-1.28717512e-1f));
    r = vfma(r, a, -a);
    r = 1.0f - vexp(r);
    r = (vf)((vi)r | ((vi)x & (int32_t)0x80000000));
    vf p = vfma(vset(-5.96761703e-4f), s, vset(4.99119423e-3f));
    p = vfma(p, s, vset(-2.67681349e-2f));
    p = vfma(p, s, vset(1.12819925e-1f));
    p = vfma(p, s, vset(-3.76125336e-1f));
    p = vfma(p, s, vset(1.28379166e-1f));
    p = vfma(p, x, x);
    return vselect(a > 0.927734375f, r, p);
}

#endif
