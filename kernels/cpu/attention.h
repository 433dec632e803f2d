// What the attention kernels share: tiles of float32 in scratch memory, and products of them.
//
// A tile has rows of queries or keys, padded to panels of AROWS rows and to width Dp, the head size rounded up to a
// multiple of 16. Scores are made for a panel of queries and up to ABLOCK keys at a time.
#ifndef ATTUNE_ATTENTION_H
#define ATTUNE_ATTENTION_H

#include "simd.h"

enum { AROWS = 8, ABLOCK = ATTENTION_BLOCK };
enum { AGRAIN = VW > AROWS ? VW : AROWS }; // columns of scores are computed in multiples of this
enum { AWIDE = VW == 16 ? 2 : 1 };         // vectors of columns that a product keeps in registers

INLINE int64_t att_round(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
INLINE int64_t att_min(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t att_max(int64_t a, int64_t b) { return a > b ? a : b; }

// att_mul_wide: AROWS rows and nv vectors of columns of c = a*b (+ c if add). Element (r,k) of a is a[r*rs + k*ks].
INLINE void att_mul_wide(const float *a, int64_t rs, int64_t ks, const float *b, int64_t ldb, float *c, int64_t ldc,
                         int64_t depth, int add, const int nv) {
    vf acc[AROWS][AWIDE];
    UNROLL for (int r = 0; r < AROWS; r++) {
        UNROLL for (int v = 0; v < nv; v++) acc[r][v] = add ? vload(c + r * ldc + v * VW) : (vf){0};
    }
    const float *a4 = a + 4 * rs;
    int64_t rs2 = 2 * rs, rs3 = 3 * rs;
    for (int64_t k = 0; k < depth; k++) {
        vf bv[AWIDE];
        UNROLL for (int v = 0; v < nv; v++) bv[v] = vload(b + v * VW);
        const float av[AROWS] = {a[0], a[rs], a[rs2], a[rs3], a4[0], a4[rs], a4[rs2], a4[rs3]};
        UNROLL for (int r = 0; r < AROWS; r++) {
            vf x = vset(av[r]);
            UNROLL for (int v = 0; v < nv; v++) acc[r][v] = vfma(x, bv[v], acc[r][v]);
        }
        a += ks;
        a4 += ks;
        b += ldb;
    }
    UNROLL for (int r = 0; r < AROWS; r++) {
        UNROLL for (int v = 0; v < nv; v++) vstore(c + r * ldc + v * VW, acc[r][v]);
    }
}

// att_mul: AROWS rows and n columns (a multiple of VW) of c = a*b (+ c if add).
static __attribute__((noinline, unused)) void att_mul(const float *a, int64_t rs, int64_t ks, const float *b, int64_t ldb,
                                                      float *c, int64_t ldc, int64_t n, int64_t depth, int add) {
    int64_t j = 0;
    for (; j + AWIDE * VW <= n; j += AWIDE * VW) att_mul_wide(a, rs, ks, b + j, ldb, c + j, ldc, depth, add, AWIDE);
    for (; j < n; j += VW) att_mul_wide(a, rs, ks, b + j, ldb, c + j, ldc, depth, add, 1);
}

// att_pack copies n rows of dh elements, stride apart in src, to a tile of width dp, filled up with 0.
INLINE void att_pack(float *dst, int64_t dp, const void *src, int dt, int64_t at, int64_t stride, int64_t n, int64_t dh) {
    for (int64_t r = 0; r < n; r++, at += stride, dst += dp) {
        int64_t d = 0;
        if (dt == F32) {
            for (; d + VW <= dh; d += VW) vstore(dst + d, vget(src, at + d, F32));
        } else {
            for (; d + VW <= dh; d += VW) vstore(dst + d, vget(src, at + d, BF16));
        }
        for (; d < dp; d += VW) vstore(dst + d, d < dh ? vget_n(src, at + d, dt, dh - d) : (vf){0});
    }
}

// att_pack_panels is att_pack and fills the last panel up with rows of 0.
INLINE void att_pack_panels(float *dst, int64_t dp, const void *src, int dt, int64_t at, int64_t stride, int64_t n, int64_t dh) {
    att_pack(dst, dp, src, dt, at, stride, n, dh);
    memset(dst + n * dp, 0, (size_t)((att_round(n, AROWS) - n) * dp) * sizeof(float));
}

// The even and the odd half of the interleaved elements of a and b.
#if VW == 16
#define ATT_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ATT_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VW == 8
#define ATT_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ATT_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define ATT_LOW 0, 4, 1, 5
#define ATT_HIGH 2, 6, 3, 7
#endif
#ifdef __clang__
#define ATT_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define ATT_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif

// att_pack_turned is att_pack with the tile transposed: dst[d*ABLOCK + r]. What is beyond the rows is 0 up to AGRAIN.
INLINE void att_pack_turned(float *dst, const void *src, int dt, int64_t at, int64_t stride, int64_t n, int64_t dh) {
    for (int64_t r0 = 0; r0 < att_round(n, AGRAIN); r0 += VW) {
        for (int64_t d = 0; d < dh; d += VW) {
            vf t[VW], u[VW];
            UNROLL for (int r = 0; r < VW; r++) {
                t[r] = r0 + r < n ? vget_n(src, at + (r0 + r) * stride + d, dt, dh - d) : (vf){0};
            }
            // Interleaving rows i and i+VW/2 turns the bits of (row, column) by one; after log2(VW) times they have changed places.
            UNROLL for (int stage = 1; stage < VW; stage *= 2) {
                UNROLL for (int i = 0; i < VW / 2; i++) {
                    u[2 * i] = ATT_SHUFFLE(t[i], t[i + VW / 2], ATT_LOW);
                    u[2 * i + 1] = ATT_SHUFFLE(t[i], t[i + VW / 2], ATT_HIGH);
                }
                UNROLL for (int i = 0; i < VW; i++) t[i] = u[i];
            }
            UNROLL for (int i = 0; i < VW; i++) vstore(dst + (d + i) * ABLOCK + r0, t[i]);
        }
    }
}

// att_carve takes the next floats of scratch, a cache line's multiple.
INLINE float *att_carve(float **scratch, int64_t floats) {
    float *p = *scratch;
    *scratch += att_round(floats, 16);
    return p;
}

// Scores are kept as their multiples of log2(e), so that probabilities are powers of 2. att_score makes them of products;
// *slope is their derivative by the product, without the constant scale.
#define LOG2E 1.44269504088896341f
#define LN2 0.693147180559945309f

INLINE vf att_score(vf product, float scale, float soft_cap, vf *slope) {
    *slope = vset(1.0f);
    if (!(soft_cap > 0)) return product * (scale * LOG2E);
    vf th = vtanh(product * (scale / soft_cap));
    *slope = 1.0f - th * th;
    return th * (soft_cap * LOG2E);
}

// att_keep is x in the columns at, at+1, ... that lie in [lo, hi), otherwise other.
INLINE vf att_keep(vf x, int64_t at, int64_t lo, int64_t hi, vf other) {
    vi column = viota() + (int32_t)at, from = (vi){0} + (int32_t)lo, to = (vi){0} + (int32_t)hi;
#if VW == 16
    __mmask16 keep = _mm512_cmpge_epi32_mask((__m512i)column, (__m512i)from);
    keep = _mm512_mask_cmplt_epi32_mask(keep, (__m512i)column, (__m512i)to);
    return (vf)_mm512_mask_blend_ps(keep, (__m512)other, (__m512)x);
#else
    return vselect((column >= from) & (column < to), x, other);
#endif
}

#endif
