// Matrix products. Both operands are packed into panels whose words (one float32, or two bfloat16 neighbours along k)
// lie in the order in which the inner loop takes them; a tile of C stays in registers over kc words. The scheme is that
// of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008).
//
// Every element of C is one chain of fused multiply-adds in the order of k, whatever tile it falls in: rows and columns
// beyond the edge are computed with zeros and thrown away. So the bits of C do not depend on how the tiles are shared out.
#include <string.h>

#include "gemm_drop.h"
#include "isa.h"
#include "vec.h"

#define VB GEMM_VECTOR_BYTES
#define VL (VB / 4)
#define MR GEMM_MR
#define NR (2 * VL)
#define KC GEMM_KC
#define STRIP GEMM_STRIP
#define ROWS GEMM_ROWS
#define THIN GEMM_THIN

typedef float gvf __attribute__((vector_size(VB), may_alias));
typedef float gvfu __attribute__((vector_size(VB), aligned(4), may_alias));
typedef uint32_t gvu __attribute__((vector_size(VB), may_alias));
typedef uint32_t gvuu __attribute__((vector_size(VB), aligned(2), may_alias));

// ---- words

// How elements become words.
enum mode { COPY, WIDEN, ROUND, PAIR, ROUND_PAIR };

static enum mode mode_of(int dtype, int bf16) {
    if (!bf16) return dtype == F32 ? COPY : WIDEN;
    if (GEMM_PAIR == 2) return dtype == F32 ? ROUND_PAIR : PAIR;
    return dtype == F32 ? ROUND : WIDEN;
}

static inline int64_t words(int64_t k, int bf16) { return bf16 ? (k + GEMM_PAIR - 1) / GEMM_PAIR : k; }

// One word at word position kw of a lane; k is the length of the sum in elements.
ALWAYS uint32_t word(enum mode mode, const struct gemm_operand *o, int64_t lane, int64_t kw, int64_t k) {
    const float *f = (const float *)o->data + lane * o->ls;
    const uint16_t *h = (const uint16_t *)o->data + lane * o->ls;
    switch (mode) {
    case COPY: return bits_of_f32(f[kw * o->ks]);
    case WIDEN: return (uint32_t)h[kw * o->ks] << 16;
    case ROUND: return (uint32_t)bf16_of_f32(f[kw * o->ks]) << 16;
    case PAIR: {
        uint32_t lo = h[2 * kw * o->ks];
        return lo | (2 * kw + 1 < k ? (uint32_t)h[(2 * kw + 1) * o->ks] << 16 : 0);
    }
    default: {
        uint32_t lo = bf16_of_f32(f[2 * kw * o->ks]);
        return lo | (2 * kw + 1 < k ? (uint32_t)bf16_of_f32(f[(2 * kw + 1) * o->ks]) << 16 : 0);
    }
    }
}

// VL words of one lane, from word kw on, where k runs through neighbouring memory.
ALWAYS gvu words_along_k(enum mode mode, const struct gemm_operand *o, int64_t lane, int64_t kw) {
    const float *f = (const float *)o->data + lane * o->ls;
    const uint16_t *h = (const uint16_t *)o->data + lane * o->ls;
    union { gvu v; uint32_t u[VL]; uint16_t h[2 * VL]; } x;
    switch (mode) {
    case COPY: return *(const gvuu *)(f + kw);
    case WIDEN:
        for (int i = 0; i < VL; i++) x.u[i] = (uint32_t)h[kw + i] << 16;
        return x.v;
    case ROUND:
        for (int i = 0; i < VL; i++) x.u[i] = (uint32_t)bf16_of_f32(f[kw + i]) << 16;
        return x.v;
    case PAIR: return *(const gvuu *)(h + 2 * kw);
    default:
        for (int i = 0; i < 2 * VL; i++) x.h[i] = bf16_of_f32(f[2 * kw + i]);
        return x.v;
    }
}

// VL words at word position kw of lanes lane.., where lanes are neighbours in memory.
ALWAYS gvu words_along_lanes(enum mode mode, const struct gemm_operand *o, int64_t lane, int64_t kw, int64_t k) {
    const float *f = (const float *)o->data + lane;
    const uint16_t *h = (const uint16_t *)o->data + lane;
    union { gvu v; uint32_t u[VL]; } x;
    switch (mode) {
    case COPY: return *(const gvuu *)(f + kw * o->ks);
    case WIDEN:
        for (int i = 0; i < VL; i++) x.u[i] = (uint32_t)h[kw * o->ks + i] << 16;
        return x.v;
    case ROUND:
        for (int i = 0; i < VL; i++) x.u[i] = (uint32_t)bf16_of_f32(f[kw * o->ks + i]) << 16;
        return x.v;
    case PAIR: {
        const uint16_t *a = h + 2 * kw * o->ks, *b = a + o->ks;
        if (2 * kw + 1 < k)
            for (int i = 0; i < VL; i++) x.u[i] = a[i] | (uint32_t)b[i] << 16;
        else
            for (int i = 0; i < VL; i++) x.u[i] = a[i];
        return x.v;
    }
    default: {
        const float *a = f + 2 * kw * o->ks, *b = a + o->ks;
        if (2 * kw + 1 < k)
            for (int i = 0; i < VL; i++) x.u[i] = bf16_of_f32(a[i]) | (uint32_t)bf16_of_f32(b[i]) << 16;
        else
            for (int i = 0; i < VL; i++) x.u[i] = bf16_of_f32(a[i]);
        return x.v;
    }
    }
}

// ---- packing

#if defined(__GNUC__) && !defined(__clang__) && (GEMM_VECTOR_BYTES == 64 || GEMM_VECTOR_BYTES == 32)
#define TRANSPOSE 1
#define LOW(s, j) ((j) & (s) ? VL + (j) - (s) : (j))
#define HIGH(s, j) ((j) & (s) ? VL + (j) : (j) + (s))
#if GEMM_VECTOR_BYTES == 64
#define LANES(f, s)                                                                                             \
    (gvu) {                                                                                                      \
        f(s, 0), f(s, 1), f(s, 2), f(s, 3), f(s, 4), f(s, 5), f(s, 6), f(s, 7), f(s, 8), f(s, 9), f(s, 10),     \
            f(s, 11), f(s, 12), f(s, 13), f(s, 14), f(s, 15)                                                    \
    }
#else
#define LANES(f, s) (gvu){f(s, 0), f(s, 1), f(s, 2), f(s, 3), f(s, 4), f(s, 5), f(s, 6), f(s, 7)}
#endif

#define STAGE(s)                                                    \
    _Pragma("GCC unroll 16") for (int i = 0; i < VL; i++) {         \
        if (i & (s)) continue;                                      \
        gvu a = x[i], b = x[i + (s)];                                \
        x[i] = __builtin_shuffle(a, b, LANES(LOW, s));              \
        x[i + (s)] = __builtin_shuffle(a, b, LANES(HIGH, s));       \
    }

// Transposes VL vectors of VL words, in log2(VL) rounds of exchanges between vectors s apart.
ALWAYS void transpose(gvu x[VL]) {
    STAGE(1)
    STAGE(2)
    STAGE(4)
#if GEMM_VECTOR_BYTES == 64
    STAGE(8)
#endif
}
#else
#define TRANSPOSE 0
#endif

// Words [k0, k1) of lanes lane..lane+n-1 (n <= width) to dst, which is the panel's word k0.
ALWAYS void pack_mode(enum mode mode, const struct gemm_operand *o, int64_t k, int64_t lane, int n, int width,
                      int64_t k0, int64_t k1, uint32_t *restrict dst) {
    int64_t kw = k0;
#if TRANSPOSE
    int per = mode == PAIR || mode == ROUND_PAIR ? 2 : 1;
    // A store of VL words may run over into the next word position, which is written next: hence not to the last one,
    // and several vectors to a position only where they fill it.
    if (o->ks == 1 && (width <= VL || width % VL == 0)) {
        for (; kw + VL < k1 && (kw + VL) * per <= k; kw += VL)
            for (int l = 0; l < width; l += VL) {
                gvu x[VL];
#pragma GCC unroll 16
                for (int i = 0; i < VL; i++)
                    x[i] = l + i < n ? words_along_k(mode, o, lane + l + i, kw) : (gvu){0};
                transpose(x);
#pragma GCC unroll 16
                for (int i = 0; i < VL; i++) *(gvuu *)(dst + (kw - k0 + i) * width + l) = x[i];
            }
    }
#endif
    if (o->ls == 1 && n == width && (width % VL == 0 || (width < VL && lane + VL <= o->lanes))) {
        for (; kw < k1 - (width < VL); kw++)
            for (int l = 0; l < width; l += VL)
                *(gvuu *)(dst + (kw - k0) * width + l) = words_along_lanes(mode, o, lane + l, kw, k);
    }
    for (; kw < k1; kw++) {
        uint32_t *d = dst + (kw - k0) * width;
        for (int l = 0; l < n; l++) d[l] = word(mode, o, lane + l, kw, k);
        for (int l = n; l < width; l++) d[l] = 0;
    }
}

static void pack(const struct gemm_operand *o, int bf16, int64_t k, int64_t lane, int n, int width, int64_t k0,
                 int64_t k1, uint32_t *dst) {
    switch (mode_of(o->dtype, bf16)) {
    case COPY: pack_mode(COPY, o, k, lane, n, width, k0, k1, dst); break;
    case WIDEN: pack_mode(WIDEN, o, k, lane, n, width, k0, k1, dst); break;
    case ROUND: pack_mode(ROUND, o, k, lane, n, width, k0, k1, dst); break;
    case PAIR: pack_mode(PAIR, o, k, lane, n, width, k0, k1, dst); break;
    case ROUND_PAIR: pack_mode(ROUND_PAIR, o, k, lane, n, width, k0, k1, dst); break;
    }
}

void FN(gemm_pack)(const struct gemm_pack_args *a, int64_t lo, int64_t hi) {
    int64_t kw = words(a->k, a->bf16);
    for (int64_t p = lo; p < hi; p++) {
        int64_t lane = p * a->width;
        pack(&a->src, a->bf16, a->k, lane, (int)min64(a->width, a->src.lanes - lane), a->width, 0, kw,
             a->dst + (p - lo) * a->width * kw);
    }
}

// ---- dropout

void FN(gemm_dropped)(const struct gemm_dropped_args *a, int64_t lo, int64_t hi) {
    for (int64_t t = lo; t < hi; t++)
        dropped(a->dst + (t - lo) * a->k, a->x, a->dtype, t * a->k, &a->drop, t, 0, a->k);
}

// Rows of B that are dropped out together before packing; even, so that pairs stay together.
enum { DROP_ROWS = 16 };

// pack for a B of the layout x[k][lane], with dropout.
static void pack_dropped(const struct gemm_operand *o, const struct gemm_drop *d, int bf16, int64_t k, int64_t lane,
                         int n, int width, int64_t k0, int64_t k1, uint32_t *dst) {
    int per = bf16 ? GEMM_PAIR : 1;
    float rows[DROP_ROWS * NR];
    for (int64_t kw = k0; kw < k1; kw += DROP_ROWS / per) {
        int64_t end = min64(k1, kw + DROP_ROWS / per);
        int64_t first = kw * per, last = min64(k, end * per);
        for (int64_t t = first; t < last; t++)
            dropped(rows + (t - first) * NR, o->data, o->dtype, t * o->ks + lane, d, t, (uint32_t)lane, n);
        struct gemm_operand r = {rows, 1, NR, n, F32};
        pack(&r, bf16, last - first, 0, n, width, 0, end - kw, dst + (kw - k0) * width);
    }
}

// ---- tiles

ALWAYS gvf madd(gvf c, uint32_t a, gvu b, int pair) {
#if GEMM_PAIR == 2
    if (pair) return (gvf)_mm512_dpbf16_ps((__m512)c, (__m512bh)_mm512_set1_epi32((int)a), (__m512bh)b);
#endif
    return c + f32_of_bits(a) * (gvf)b;
}

// c (m, nv*VL) = [c +] a b over kw words.
ALWAYS void tile(int m, int nv, int pair, int64_t kw, const uint32_t *restrict a, const uint32_t *restrict b,
                 float *restrict c, int64_t ldc, int add) {
    gvf x[MR][2];
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) x[i][j] = add ? (gvf) * (const gvfu *)(c + i * ldc + j * VL) : (gvf){0};
    for (int64_t k = 0; k < kw; k++) {
        gvu b0 = *(const gvu *)b, b1 = b0;
        if (nv == 2) b1 = *(const gvu *)(b + VL);
#pragma GCC unroll 16
        for (int i = 0; i < m; i++) {
            x[i][0] = madd(x[i][0], a[i], b0, pair);
            if (nv == 2) x[i][1] = madd(x[i][1], a[i], b1, pair);
        }
        a += m;
        b += nv * VL;
    }
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) *(gvfu *)(c + i * ldc + j * VL) = x[i][j];
}

typedef void tile_function(int64_t kw, const uint32_t *a, const uint32_t *b, float *c, int64_t ldc, int add);

#define TILE(m, nv, pair)                                                                                         \
    static void tile_##m##_##nv##_##pair(int64_t kw, const uint32_t *a, const uint32_t *b, float *c, int64_t ldc, \
                                         int add) {                                                               \
        tile(m, nv, pair, kw, a, b, c, ldc, add);                                                                 \
    }
#if GEMM_PAIR == 2
#define TILES_OF(m) TILE(m, 1, 0) TILE(m, 2, 0) TILE(m, 1, 1) TILE(m, 2, 1)
#define ENTRY(m) {{tile_##m##_1_0, tile_##m##_2_0}, {tile_##m##_1_1, tile_##m##_2_1}},
#else
#define TILES_OF(m) TILE(m, 1, 0) TILE(m, 2, 0)
#define ENTRY(m) {{tile_##m##_1_0, tile_##m##_2_0}, {tile_##m##_1_0, tile_##m##_2_0}},
#endif

#define EACH4(X) X(1) X(2) X(3) X(4)
#define EACH6(X) EACH4(X) X(5) X(6)
#define EACH14(X) EACH6(X) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define EACH_CAT2(n) EACH##n
#define EACH_CAT(n) EACH_CAT2(n)
#define EACH EACH_CAT(GEMM_MR)

EACH(TILES_OF)
static tile_function *const tiles[MR][2][2] = {EACH(ENTRY)}; // by rows-1, bf16, vectors-1

// ---- the product

// c (m, n) of ldc = C, with everything that is done once: alpha, bias, sum, rounding.
static void store_tile(const struct gemm_args *a, const float *bias, const float *c, int64_t ldc, int64_t row,
                       int64_t col, int m, int n) {
    for (int i = 0; i < m; i++) {
        float y[NR];
        const float *x = c + i * ldc;
        for (int j = 0; j < NR; j++) y[j] = x[j] * a->alpha;
        if (bias)
            for (int j = 0; j < NR; j++) y[j] += bias[j];
        int64_t at = (row + i) * a->crs + col * a->ccs;
        if (a->accumulate)
            for (int j = 0; j < n; j++) y[j] += load1(a->c, a->c_dtype, at + j * a->ccs);
        if (a->ccs != 1)
            for (int j = 0; j < n; j++) store1(a->c, a->c_dtype, at + j * a->ccs, y[j]);
        else if (n == NR)
            store_f32(a->c, a->c_dtype, at, y, NR);
        else
            store_f32(a->c, a->c_dtype, at, y, n);
    }
}

static void scale_tile(const struct gemm_args *a, const struct row_state *rows, float *c, int64_t ldc, int64_t col,
                       int m, int width) {
    for (int i = 0; i < m; i++) {
        float *x = c + i * ldc;
        if (a->undrop.keys)
            for (int j = 0; j < width; j++) x[j] *= a->scale * kept(&a->undrop, rows[i], (uint32_t)(col + j));
        else
            for (int j = 0; j < width; j++) x[j] *= a->scale;
    }
}

void FN(gemm)(const struct gemm_args *a, int64_t lo, int64_t hi) {
    int width = a->n <= VL ? VL : NR; // of B's panels
    int w = a->width;
    int64_t kw = words(a->k, a->bf16);
    int64_t thin_kw = a->thin_a ? words(a->thin_k, a->bf16) : 0;
    int64_t chunks = kw <= KC ? 1 : (kw + KC - 1) / KC;
    int64_t kc = chunks == 1 ? kw : ((kw + chunks - 1) / chunks + 7) & ~(int64_t)7;

    char *mem = a->mem;
    uint32_t *b = take(&mem, (int64_t)KC * STRIP * 4);
    uint32_t *thin_b = take(&mem, (int64_t)THIN * STRIP * 4);
    float *sums = take(&mem, (int64_t)ROWS * STRIP * 4);
    float one[MR * NR] __attribute__((aligned(64)));
    float bias[STRIP] __attribute__((aligned(64)));
    tile_function *multiply = tiles[w - 1][a->bf16 != 0][width / VL - 1];
    int direct = a->c_dtype == F32 && a->ccs == 1 && a->alpha == 1 && !a->accumulate && !a->bias;

    int64_t strip = STRIP / width; // panels of B at a time
    while (strip > 1 && thin_kw * strip * width > (int64_t)THIN * STRIP) strip--;
    for (int64_t s = lo; s < hi; s += strip) {
        int panels = (int)min64(strip, hi - s);
        for (int j = 0; thin_kw && !a->packed_thin_b && j < panels; j++) {
            int64_t col = (s + j) * width;
            pack(&a->thin_b, a->bf16, a->thin_k, col, (int)min64(width, a->n - col), width, 0, thin_kw,
                 thin_b + j * width * thin_kw);
        }
        if (a->bias) {
            int64_t cols = min64(panels * width, a->n - s * width);
            memset(bias, 0, sizeof bias);
            load_f32(bias, a->bias, a->bias_dtype, s * width, cols);
        }
        for (int64_t q = 0; q < chunks; q++) {
            int64_t k0 = q * kc, k1 = min64(kw, k0 + kc);
            for (int j = 0; !a->packed_b && j < panels; j++) {
                int64_t col = (s + j) * width;
                int n = (int)min64(width, a->n - col);
                uint32_t *dst = b + j * width * (k1 - k0);
                if (a->drop.keys)
                    pack_dropped(&a->b, &a->drop, a->bf16, a->k, col, n, width, k0, k1, dst);
                else
                    pack(&a->b, a->bf16, a->k, col, n, width, k0, k1, dst);
            }
            for (int64_t p = a->m0; p < a->m1; p++) {
                int64_t row = p * w;
                int m = (int)min64(w, a->m - row);
                struct row_state rows[MR];
                if (thin_kw && q == 0 && a->undrop.keys)
                    for (int i = 0; i < m; i++) rows[i] = uniform_row(&a->undrop, row + i);
                for (int j = 0; j < panels; j++) {
                    int64_t col = (s + j) * width;
                    int n = (int)min64(width, a->n - col);
                    float *c = chunks > 1 ? sums + ((p - a->m0) * panels + j) * w * width : one;
                    int64_t ldc = width;
                    int in_place = chunks == 1 && direct && m == w && n == width;
                    if (in_place) {
                        c = (float *)a->c + row * a->crs + col;
                        ldc = a->crs;
                    }
                    if (q == 0 && thin_kw) {
                        const uint32_t *tj = a->packed_thin_b ? a->packed_thin_b + (s + j) * width * thin_kw
                                                              : thin_b + j * width * thin_kw;
                        multiply(thin_kw, a->thin_a + p * w * thin_kw, tj, c, ldc, 0);
                        scale_tile(a, rows, c, ldc, col, m, width);
                    }
                    const uint32_t *bj = a->packed_b ? a->packed_b + ((s + j - a->first_b) * kw + k0) * width
                                                     : b + j * width * (k1 - k0);
                    multiply(k1 - k0, a->a + ((p - a->first_a) * kw + k0) * w, bj, c, ldc,
                             q > 0 || thin_kw > 0);
                    if (q == chunks - 1 && !in_place)
                        store_tile(a, a->bias ? bias + j * width : 0, c, ldc, row, col, m, n);
                }
            }
        }
    }
}

void FN(gemm_sum)(const struct gemm_sum_args *a, int64_t lo, int64_t hi) {
    enum { BLOCK = 64, LANES_AT_ONCE = 64 };
    for (int64_t l = lo; l < hi; l += LANES_AT_ONCE) {
        int n = (int)min64(LANES_AT_ONCE, hi - l);
        double total[LANES_AT_ONCE] = {0};
        for (int64_t k0 = 0; k0 < a->k; k0 += BLOCK) {
            float part[LANES_AT_ONCE] = {0};
            for (int64_t k = k0; k < min64(a->k, k0 + BLOCK); k++)
                for (int i = 0; i < n; i++) part[i] += load1(a->x.data, a->x.dtype, (l + i) * a->x.ls + k * a->x.ks);
            for (int i = 0; i < n; i++) total[i] += part[i];
        }
        for (int i = 0; i < n; i++) a->y[l + i] = (float)total[i];
    }
}
