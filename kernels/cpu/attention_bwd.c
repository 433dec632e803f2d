// attention_bwd, from lse and without stored scores (FlashAttention-2, arXiv:2307.08691):
//
//   p = exp(s - lse), ds = p * (do.v - delta) * slope, delta = do.o
//   dv = p' do, dk = ds' q, dq = ds k
//
// attention_delta makes delta. attention_bwd's items are blocks times key/value heads. A block of keys takes the queries
// that see it, head after head, so dk and dv are its own. Where the block is a whole segment, dq is its own too and made
// with them, from one pass over the scores; longer segments have blocks of queries for dq. Each sum is in a fixed order.
// The outputs may not alias the inputs.
#include "attention.h"

// attention_delta: delta[t,h] = do[t,h] . o[t,h]. Items are rows (t,h).
void FN(attention_delta)(const struct attention_delta_args *a, int64_t lo, int64_t hi) {
    int64_t n = a->dh;
    for (int64_t r = lo; r < hi; r++) {
        vf sum = {0};
        for (int64_t i = 0; i < n; i += VW) sum = vfma(vget_n(a->o, r * n + i, a->d_o, n - i), vget_n(a->dout, r * n + i, a->ddout, n - i), sum);
        a->delta[r] = vsum(sum);
    }
}

INLINE int64_t att_first_key(const struct attention_bwd_args *a, const struct attention_block *b, int64_t i) {
    return a->window > 0 ? att_max(b->k0, i + 1 - a->window) : b->k0;
}

// att_gradients turns a panel's products s into probabilities and dp = do.v into ds without its constant scale, for columns
// [0, n), which are keys from kb on. Rows past the last query get 0.
INLINE void att_gradients(const struct attention_bwd_args *a, const struct attention_block *b, float *s, float *dp, int64_t i0,
                          int64_t head, int64_t kb, int64_t n) {
    vf zero = {0}, slope;
    for (int64_t r = 0; r < AROWS; r++, s += ABLOCK, dp += ABLOCK) {
        int64_t i = i0 + r, row = i * a->heads + head;
        if (i >= b->q1) {
            for (int64_t c = 0; c < n; c += VW) vstore(s + c, zero), vstore(dp + c, zero);
            continue;
        }
        int64_t lo = att_first_key(a, b, i) - kb, hi = i + 1 - kb;
        vf lse = vset(a->lse[row] * LOG2E), delta = vset(a->delta[row]);
        for (int64_t c = 0; c < n; c += VW) {
            vf p = vexp2(att_score(vload(s + c), a->scale, a->soft_cap, &slope) - lse);
            vf ds = p * (vload(dp + c) - delta);
            if (a->soft_cap > 0) ds *= slope;
            vstore(s + c, att_keep(p, c, lo, hi, zero));
            vstore(dp + c, att_keep(ds, c, lo, hi, zero));
        }
    }
}

// att_store writes n rows of a tile, times scale, to the rows of head `head` of a (T, heads, dh) output, from token t0 on.
INLINE void att_store(void *dst, int dt, const float *tile, float scale, int64_t dp, int64_t t0, int64_t n, int64_t heads,
                      int64_t head, int64_t dh) {
    for (int64_t r = 0; r < n; r++) {
        int64_t at = ((t0 + r) * heads + head) * dh;
        for (int64_t d = 0; d < dh; d += VW) vput_n(dst, at + d, dt, vload(tile + r * dp + d) * scale, dh - d);
    }
}

static void att_dq(const struct attention_bwd_args *a, const struct attention_block *b, int64_t kvh) {
    int64_t group = a->heads / a->kv, dh = a->dh, dp = att_round(dh, 16);
    int64_t nq = b->q1 - b->q0, panels = att_round(nq, AROWS) / AROWS, head_rows = panels * AROWS;
    float *scratch = a->scratch;
    float *q = att_carve(&scratch, group * head_rows * dp), *dout = att_carve(&scratch, group * head_rows * dp);
    float *dq = att_carve(&scratch, group * head_rows * dp);
    float *s = att_carve(&scratch, AROWS * ABLOCK), *ds = att_carve(&scratch, AROWS * ABLOCK);
    float *kt = att_carve(&scratch, dp * ABLOCK), *vt = att_carve(&scratch, dp * ABLOCK), *k = att_carve(&scratch, ABLOCK * dp);
    memset(dq, 0, (size_t)(group * head_rows * dp) * sizeof(float));
    for (int64_t g = 0; g < group; g++) {
        int64_t at = (b->q0 * a->heads + kvh * group + g) * dh;
        att_pack_panels(q + g * head_rows * dp, dp, a->q, a->dq, at, a->heads * dh, nq, dh);
        att_pack_panels(dout + g * head_rows * dp, dp, a->dout, a->ddout, at, a->heads * dh, nq, dh);
    }
    int64_t first = att_first_key(a, b, b->q0);
    for (int64_t kb = b->k0 + (first - b->k0) / ABLOCK * ABLOCK; kb < b->q1; kb += ABLOCK) {
        int64_t nk = att_min(ABLOCK, b->q1 - kb), at = (kb * a->kv + kvh) * dh, stride = a->kv * dh;
        att_pack_turned(kt, a->k, a->dk, at, stride, nk, dh);
        att_pack_turned(vt, a->v, a->dv, at, stride, nk, dh);
        att_pack(k, dp, a->k, a->dk, at, stride, nk, dh);
        for (int64_t p = 0; p < panels; p++) {
            int64_t i0 = b->q0 + p * AROWS, i1 = att_min(i0 + AROWS, b->q1);
            int64_t seen = att_min(nk, i1 - kb), columns = att_round(seen, AGRAIN);
            if (seen <= 0 || att_first_key(a, b, i0) >= kb + ABLOCK) continue;
            for (int64_t g = 0; g < group; g++) {
                int64_t row = (g * head_rows + p * AROWS) * dp;
                att_mul(q + row, dp, 1, kt, ABLOCK, s, ABLOCK, columns, dh, 0);
                att_mul(dout + row, dp, 1, vt, ABLOCK, ds, ABLOCK, columns, dh, 0);
                att_gradients(a, b, s, ds, i0, kvh * group + g, kb, columns);
                att_mul(ds, ABLOCK, 1, k, dp, dq + row, dp, dp, seen, 1);
            }
        }
    }
    for (int64_t g = 0; g < group; g++) {
        att_store(a->out_q, a->dout_q, dq + g * head_rows * dp, a->scale, dp, b->q0, nq, a->heads, kvh * group + g, dh);
    }
}

static void att_dkv(const struct attention_bwd_args *a, const struct attention_block *b, int64_t kvh) {
    int64_t group = a->heads / a->kv, dh = a->dh, dp = att_round(dh, 16), tile = ABLOCK * dp;
    float *scratch = a->scratch;
    float *q = att_carve(&scratch, tile), *dout = att_carve(&scratch, tile), *k = att_carve(&scratch, tile);
    float *kt = att_carve(&scratch, tile), *vt = att_carve(&scratch, tile);
    float *dk = att_carve(&scratch, tile), *dv = att_carve(&scratch, tile);
    float *s = att_carve(&scratch, ABLOCK * ABLOCK), *ds = att_carve(&scratch, ABLOCK * ABLOCK);
    int64_t head_rows = att_round(b->q1 - b->q0, ABLOCK);
    float *dq = b->part == ATTENTION_WHOLE && a->out_q ? scratch : 0; // (group, head_rows, dp)
    if (dq) memset(dq, 0, (size_t)(group * head_rows * dp) * sizeof(float));

    for (int64_t kb = b->kb; kb < b->k1; kb += ABLOCK) {
        int64_t nk = att_min(ABLOCK, b->k1 - kb), stride = a->kv * dh, at = (kb * a->kv + kvh) * dh;
        int64_t q1 = a->window > 0 ? att_min(b->q1, kb + nk - 1 + a->window) : b->q1; // the last query that sees the block
        att_pack_turned(kt, a->k, a->dk, at, stride, nk, dh);
        att_pack_turned(vt, a->v, a->dv, at, stride, nk, dh);
        att_pack(k, dp, a->k, a->dk, at, stride, nk, dh);
        memset(dk, 0, (size_t)tile * sizeof(float));
        memset(dv, 0, (size_t)tile * sizeof(float));
        for (int64_t g = 0; g < group; g++) {
            int64_t head = kvh * group + g;
            for (int64_t qb = kb; qb < q1; qb += ABLOCK) {
                int64_t nq = att_min(ABLOCK, q1 - qb), from = (qb * a->heads + head) * dh;
                att_pack_panels(q, dp, a->q, a->dq, from, a->heads * dh, nq, dh);
                att_pack_panels(dout, dp, a->dout, a->ddout, from, a->heads * dh, nq, dh);
                // One operand at a time for all panels, so that it stays in the first-level cache.
                int64_t seen[ABLOCK / AROWS];
                for (int64_t p = 0; p < nq; p += AROWS) {
                    seen[p / AROWS] = att_min(nk, att_min(qb + p + AROWS, b->q1) - kb);
                    att_mul(q + p * dp, dp, 1, kt, ABLOCK, s + p * ABLOCK, ABLOCK, att_round(seen[p / AROWS], AGRAIN), dh, 0);
                }
                for (int64_t p = 0; p < nq; p += AROWS) {
                    int64_t columns = att_round(seen[p / AROWS], AGRAIN);
                    att_mul(dout + p * dp, dp, 1, vt, ABLOCK, ds + p * ABLOCK, ABLOCK, columns, dh, 0);
                    att_gradients(a, b, s + p * ABLOCK, ds + p * ABLOCK, qb + p, head, kb, columns);
                }
                for (int64_t p = 0; dq && p < nq; p += AROWS) {
                    float *to = dq + (g * head_rows + qb + p - b->q0) * dp;
                    att_mul(ds + p * ABLOCK, ABLOCK, 1, k, dp, to, dp, dp, seen[p / AROWS], 1);
                }
                // On the diagonal, the panels of queries before a panel of keys do not see it.
                int64_t diagonal = qb == kb;
                for (int64_t c = 0; a->out_v && c < nk && diagonal * c < nq; c += AROWS) {
                    int64_t p = diagonal * c;
                    att_mul(s + p * ABLOCK + c, 1, ABLOCK, dout + p * dp, dp, dv + c * dp, dp, dp, nq - p, 1);
                }
                for (int64_t c = 0; a->out_k && c < nk && diagonal * c < nq; c += AROWS) {
                    int64_t p = diagonal * c;
                    att_mul(ds + p * ABLOCK + c, 1, ABLOCK, q + p * dp, dp, dk + c * dp, dp, dp, nq - p, 1);
                }
            }
        }
        if (a->out_k) att_store(a->out_k, a->dout_k, dk, a->scale, dp, kb, nk, a->kv, kvh, dh);
        if (a->out_v) att_store(a->out_v, a->dout_v, dv, 1.0f, dp, kb, nk, a->kv, kvh, dh);
    }
    for (int64_t g = 0; dq && g < group; g++) {
        att_store(a->out_q, a->dout_q, dq + g * head_rows * dp, a->scale, dp, b->q0, b->q1 - b->q0, a->heads, kvh * group + g, dh);
    }
}

void FN(attention_bwd)(const struct attention_bwd_args *a, int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; i++) {
        const struct attention_block *b = &a->blocks[i / a->kv];
        if (b->part == ATTENTION_QUERIES)
            att_dq(a, b, i % a->kv);
        else
            att_dkv(a, b, i % a->kv);
    }
}
