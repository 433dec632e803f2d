// attention_cached: the write to the cache. What follows it is attention, with positions.
#include "simd.h"

// cache_rows: y[index[n]] = x[n], index -1 skipped. Items are rows of x.
void FN(cache_rows)(const struct cache_rows_args *a, int64_t lo, int64_t hi) {
    int64_t d = a->cols;
    for (int64_t n = lo; n < hi; n++) {
        if (a->index[n] < 0) continue;
        int64_t to = a->index[n] * d;
        for (int64_t i = 0; i < d; i += VW) vput_n(a->y, to + i, a->dy, vget_n(a->x, n * d + i, a->dx, d - i), d - i);
    }
}
