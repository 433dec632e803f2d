// rmsnorm: items are rows. y may be x.
#include "simd.h"

// rms_dot is the sum of x*y over a row, in four interleaved vectors.
INLINE float rms_dot(const void *x, int dx, const void *y, int dy, int64_t at, int64_t n) {
    vf sum[4] = {{0}};
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW) {
        UNROLL for (int u = 0; u < 4; u++) {
            vf a = vget(x, at + i + u * VW, dx);
            sum[u] = vfma(a, vget(y, at + i + u * VW, dy), sum[u]);
        }
    }
    for (; i < n; i += VW) sum[0] = vfma(vget_n(x, at + i, dx, n - i), vget_n(y, at + i, dy, n - i), sum[0]);
    return vsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

void FN(rmsnorm)(const struct rmsnorm_args *a, int64_t lo, int64_t hi) {
    int64_t d = a->cols;
    for (int64_t r = lo; r < hi; r++) {
        float ss = rms_dot(a->x, a->dx, a->x, a->dx, r * d, d);
        float rstd = (float)(1.0 / sqrt((double)ss / (double)d + a->eps));
        if (a->rstd) a->rstd[r] = rstd;
        if (!a->y) continue;
        vf s = vset(rstd);
        for (int64_t i = 0; i < d; i += VW) {
            vf y = vget_n(a->x, r * d + i, a->dx, d - i) * s * vget_n(a->weight, i, a->dw, d - i);
            vput_n(a->y, r * d + i, a->dy, y, d - i);
        }
    }
}
