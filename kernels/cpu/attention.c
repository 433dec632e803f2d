// attention, and attention_cached after the cache is written: items are blocks of queries times key/value heads. A
// block's queries, for all query heads of the key/value head, go through the keys ATTENTION_BLOCK at a time with an
// online softmax (FlashAttention, arXiv:2205.14135). o may not alias the inputs.
#include "attention.h"

// The keys [*lo, *hi) that query i sees.
INLINE void att_range(const struct attention_args *a, const struct attention_block *b, int64_t i, int64_t *lo, int64_t *hi) {
    *hi = (a->positions ? a->positions[i] : i) + 1;
    *lo = b->k0;
    if (a->window > 0) *lo = att_max(*lo, *hi - a->window);
}

// att_softmax turns one row of products, columns [0, n) for keys from kb on, into probabilities relative to 2^*top. *top
// is a score of the row, at most ATT_SLACK below the largest so far: far from overflow, and hardly ever in need of a change,
// at which what o and sum hold is scaled. sum holds one sum a vector element.
#define ATT_SLACK 16.0f

INLINE void att_softmax(const struct attention_args *a, float *s, int64_t n, int64_t lo, int64_t hi, float *top, float *sum,
                        float *o, int64_t dp) {
    if (lo >= hi) {
        for (int64_t c = 0; c < n; c += VW) vstore(s + c, (vf){0});
        return;
    }
    vf none = vset(-INFINITY), most = none, slope;
    for (int64_t c = 0; c < n; c += VW) {
        vf x = att_keep(att_score(vload(s + c), a->scale, a->soft_cap, &slope), c, lo, hi, none);
        most = vmax(most, x);
        vstore(s + c, x);
    }
    if (*top == -INFINITY) {
        *top = vmax_all(most);
    } else if (vany_greater(most, vset(*top + ATT_SLACK))) {
        float m = vmax_all(most);
        vf alpha = vexp2(vset(*top - m));
        for (int64_t d = 0; d < dp; d += VW) vstore(o + d, vload(o + d) * alpha);
        vstore(sum, vload(sum) * alpha);
        *top = m;
    }
    vf total = vload(sum), base = vset(*top);
    for (int64_t c = 0; c < n; c += VW) {
        vf p = vexp2(vload(s + c) - base);
        total += p;
        vstore(s + c, p);
    }
    vstore(sum, total);
}

// att_see gives the keys that AROWS rows from row on see in the block [kb, kb+nk), relative to kb, and returns the end of
// the last. Row r of a tile is query r % nq of query head r / nq, so that a few queries still fill panels.
INLINE int64_t att_see(const struct attention_args *a, const struct attention_block *b, int64_t row, int64_t rows, int64_t kb,
                       int64_t nk, int64_t *lo, int64_t *hi) {
    int64_t nq = b->q1 - b->q0, most = 0;
    for (int64_t r = 0, i = row % nq; r < AROWS; r++, i = i + 1 < nq ? i + 1 : 0) {
        lo[r] = hi[r] = 0;
        if (row + r >= rows) continue;
        att_range(a, b, b->q0 + i, &lo[r], &hi[r]);
        lo[r] = att_max(lo[r] - kb, 0);
        hi[r] = att_min(hi[r] - kb, nk);
        if (lo[r] < hi[r]) most = att_max(most, hi[r]);
    }
    return most;
}

static void att_forward(const struct attention_args *a, const struct attention_block *b, int64_t kvh) {
    int64_t group = a->heads / a->kv, dh = a->dh, dp = att_round(dh, 16);
    int64_t nq = b->q1 - b->q0, rows = group * nq, padded = att_round(rows, AROWS);
    float *scratch = a->scratch;
    float *q = att_carve(&scratch, padded * dp), *o = att_carve(&scratch, padded * dp);
    float *s = att_carve(&scratch, AROWS * ABLOCK), *kt = att_carve(&scratch, dp * ABLOCK), *v = att_carve(&scratch, ABLOCK * dp);
    float *sum = att_carve(&scratch, padded * VW), *top = att_carve(&scratch, padded);

    int64_t first = b->k1, last = b->k0; // the keys that any query sees
    for (int64_t i = b->q0; i < b->q1; i++) {
        int64_t lo, hi;
        att_range(a, b, i, &lo, &hi);
        if (lo < hi) first = att_min(first, lo), last = att_max(last, att_min(hi, b->k1));
    }
    memset(o, 0, (size_t)(padded * dp) * sizeof(float));
    memset(sum, 0, (size_t)(padded * VW) * sizeof(float));
    for (int64_t r = 0; r < padded; r++) top[r] = -INFINITY;
    for (int64_t g = 0; g < group; g++) {
        int64_t at = (b->q0 * a->heads + kvh * group + g) * dh;
        att_pack(q + g * nq * dp, dp, a->q, a->dq, at, a->heads * dh, nq, dh);
    }
    memset(q + rows * dp, 0, (size_t)((padded - rows) * dp) * sizeof(float));

    for (int64_t kb = b->k0 + (first - b->k0) / ABLOCK * ABLOCK; kb < last; kb += ABLOCK) {
        int64_t stride = a->kv * dh, at = kb * stride + kvh * dh, nk = att_min(ABLOCK, last - kb);
        att_pack_turned(kt, a->k, a->dk, at, stride, nk, dh);
        att_pack(v, dp, a->v, a->dv, at, stride, nk, dh);
        for (int64_t row = 0; row < rows; row += AROWS) {
            int64_t lo[AROWS], hi[AROWS], most = att_see(a, b, row, rows, kb, nk, lo, hi), columns = att_round(most, AGRAIN);
            if (most == 0) continue;
            att_mul(q + row * dp, dp, 1, kt, ABLOCK, s, ABLOCK, columns, dh, 0);
            for (int64_t r = 0; r < AROWS; r++) {
                att_softmax(a, s + r * ABLOCK, columns, lo[r], hi[r], top + row + r, sum + (row + r) * VW, o + (row + r) * dp, dp);
            }
            att_mul(s, ABLOCK, 1, v, dp, o + row * dp, dp, dp, most, 1);
        }
    }

    for (int64_t row = 0; row < rows; row++) {
        int64_t head = (b->q0 + row % nq) * a->heads + kvh * group + row / nq;
        int seen = top[row] != -INFINITY;
        float total = seen ? vsum(vload(sum + row * VW)) : 1.0f;
        vf inv = vset(1.0f / total);
        if (a->o) {
            for (int64_t d = 0; d < dh; d += VW) vput_n(a->o, head * dh + d, a->d_o, vload(o + row * dp + d) * inv, dh - d);
        }
        // Unseen: 0 for padding, NaN where all scores were NaN.
        if (a->lse) a->lse[head] = seen ? top[row] * LN2 + logf(total) : vsum(vload(sum + row * VW));
    }
}

void FN(attention)(const struct attention_args *a, int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; i++) att_forward(a, &a->blocks[i / a->kv], i % a->kv);
}
