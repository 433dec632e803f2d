// embed_bwd: dweight[v] = sum of dy[t] over ids[t] = v, in ascending t. Items are rows of dweight: each range of rows is
// cleared and then looks through all ids for its own.
#include "simd.h"

void FN(embed_bwd)(const struct embed_bwd_args *a, int64_t lo, int64_t hi) {
    int64_t d = a->cols;
    memset(a->dweight + lo * d, 0, (size_t)((hi - lo) * d) * sizeof(float));
    for (int64_t t = 0; t < a->tokens; t++) {
        if (a->ids[t] < lo || a->ids[t] >= hi) continue;
        float *w = a->dweight + a->ids[t] * d;
        for (int64_t i = 0; i < d; i += VW) {
            vf sum = vget_n(w, i, F32, d - i) + vget_n(a->dy, t * d + i, a->ddy, d - i);
            vput_n(w, i, F32, sum, d - i);
        }
    }
}
