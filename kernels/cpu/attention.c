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

static void att_forward(const struct attention_args *a, const struct attention_block *b, int64_t kvh) {
    int64_t group = a->heads / a->kv, dh = a->dh, dp = att_round(dh, 16);
    int64_t nq = b->q1 - b->q0, panels = att_round(nq, AROWS) / AROWS, rows = group * panels * AROWS;
    float *scratch = a->scratch;
    float *q = att_carve(&scratch, rows * dp), *o = att_carve(&scratch, rows * dp);
    float *s = att_carve(&scratch, AROWS * ABLOCK), *kt = att_carve(&scratch, dp * ABLOCK), *v = att_carve(&scratch, ABLOCK * dp);
    float *sum = att_carve(&scratch, rows * VW), *top = att_carve(&scratch, rows);

    int64_t first = b->k1, last = b->k0; // the keys that any query sees
    for (int64_t i = b->q0; i < b->q1; i++) {
        int64_t lo, hi;
        att_range(a, b, i, &lo, &hi);
        if (lo < hi) first = att_min(first, lo), last = att_max(last, att_min(hi, b->k1));
    }
    memset(o, 0, (size_t)(rows * dp) * sizeof(float));
    memset(sum, 0, (size_t)(rows * VW) * sizeof(float));
    for (int64_t r = 0; r < rows; r++) top[r] = -INFINITY;
    for (int64_t g = 0; g < group; g++) {
        int64_t at = (b->q0 * a->heads + kvh * group + g) * dh;
        att_pack(q + g * panels * AROWS * dp, dp, a->q, a->dq, at, a->heads * dh, nq, dh);
    }

    for (int64_t kb = b->k0 + (first - b->k0) / ABLOCK * ABLOCK; kb < last; kb += ABLOCK) {
        int64_t nk = att_min(ABLOCK, last - kb), at = (kb * a->kv + kvh) * dh;
        att_pack_turned(kt, a->k, a->dk, at, a->kv * dh, nk, dh);
        att_pack(v, dp, a->v, a->dv, at, a->kv * dh, nk, dh);
        for (int64_t p = 0; p < panels; p++) {
            int64_t i0 = b->q0 + p * AROWS, n = att_min(AROWS, b->q1 - i0), lo[AROWS], hi[AROWS], most = 0;
            for (int64_t r = 0; r < n; r++) {
                att_range(a, b, i0 + r, &lo[r], &hi[r]);
                lo[r] = att_min(att_max(lo[r] - kb, 0), ABLOCK);
                hi[r] = att_min(att_max(hi[r] - kb, 0), nk);
                if (lo[r] < hi[r]) most = att_max(most, hi[r]);
            }
            if (most == 0) continue;
            int64_t columns = att_round(most, AGRAIN);
            for (int64_t g = 0; g < group; g++) {
                int64_t row = (g * panels + p) * AROWS;
                att_mul(q + row * dp, dp, 1, kt, ABLOCK, s, ABLOCK, columns, dh, 0);
                for (int64_t r = 0; r < n; r++) {
                    int64_t at_row = row + r;
                    att_softmax(a, s + r * ABLOCK, columns, lo[r], hi[r], top + at_row, sum + at_row * VW, o + at_row * dp, dp);
                }
                att_mul(s, ABLOCK, 1, v, dp, o + row * dp, dp, dp, most, 1);
            }
        }
    }

    for (int64_t g = 0; g < group; g++) {
        for (int64_t i = 0; i < nq; i++) {
            int64_t row = g * panels * AROWS + i, head = (b->q0 + i) * a->heads + kvh * group + g;
            int seen = top[row] != -INFINITY;
            float total = seen ? vsum(vload(sum + row * VW)) : 1.0f;
            vf inv = vset(1.0f / total);
            if (a->o) {
                for (int64_t d = 0; d < dh; d += VW) vput_n(a->o, head * dh + d, a->d_o, vload(o + row * dp + d) * inv, dh - d);
            }
            if (a->lse) a->lse[head] = seen ? top[row] * LN2 + logf(total) : 0.0f;
        }
    }
}

void FN(attention)(const struct attention_args *a, int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; i++) att_forward(a, &a->blocks[i / a->kv], i % a->kv);
}
