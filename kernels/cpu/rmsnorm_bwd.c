// rmsnorm_bwd: items are blocks of RMSNORM_BLOCK rows. dx may be dy or x. The block's share of dweight goes to a row of
// partial; colsum adds those in order. Where partial is null, dweight is not wanted.
#include "simd.h"

INLINE void rmsnorm_bwd_row(const struct rmsnorm_bwd_args *a, int64_t r, float *dweight) {
    int64_t d = a->cols, at = r * d;
    vf s = vset(a->rstd[r]);
    vf dot[2] = {{0}};
    for (int64_t i = 0; i < d; i += 2 * VW) {
        UNROLL for (int u = 0; u < 2; u++) {
            int64_t c = i + u * VW;
            if (c >= d) break;
            vf dy = vget_n(a->dy, at + c, a->ddy, d - c), n = vget_n(a->x, at + c, a->dx, d - c) * s;
            dot[u] = vfma(dy * vget_n(a->weight, c, a->dw, d - c), n, dot[u]);
            if (dweight) vput_n(dweight, c, F32, vfma(dy, n, vget_n(dweight, c, F32, d - c)), d - c);
        }
    }
    if (!a->out) return;
    vf mean = vset(vsum(dot[0] + dot[1]) / (float)d);
    for (int64_t i = 0; i < d; i += VW) {
        vf g = vget_n(a->dy, at + i, a->ddy, d - i) * vget_n(a->weight, i, a->dw, d - i);
        vf n = vget_n(a->x, at + i, a->dx, d - i) * s;
        vput_n(a->out, at + i, a->dout, s * (g - n * mean), d - i);
    }
}

void FN(rmsnorm_bwd)(const struct rmsnorm_bwd_args *a, int64_t lo, int64_t hi) {
    for (int64_t block = lo; block < hi; block++) {
        float *dweight = a->partial ? a->partial + block * a->cols : 0;
        if (dweight) memset(dweight, 0, (size_t)a->cols * sizeof(float));
        int64_t end = (block + 1) * RMSNORM_BLOCK;
        if (end > a->rows) end = a->rows;
        for (int64_t r = block * RMSNORM_BLOCK; r < end; r++) rmsnorm_bwd_row(a, r, dweight);
    }
}

// colsum: y[c] = sum over rows of x[row][c], in order of the rows. Items are columns.
void FN(colsum)(const struct colsum_args *a, int64_t lo, int64_t hi) {
    for (int64_t c = lo; c < hi; c += VW) {
        vf sum = {0};
        for (int64_t r = 0; r < a->rows; r++) sum += vget_n(a->x, r * a->cols + c, F32, hi - c);
        vput_n(a->y, c, F32, sum, hi - c);
    }
}
