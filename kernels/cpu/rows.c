// rows and embed: y[n] = x[index[n]]. Items are rows of y. y may not alias x.
#include "simd.h"

void FN(rows)(const struct rows_args *a, int64_t lo, int64_t hi) {
    int64_t d = a->cols;
    for (int64_t n = lo; n < hi; n++) {
        int64_t from = a->index[n] * d, to = n * d;
        for (int64_t i = 0; i < d; i += VW) vput_n(a->y, to + i, a->dy, vget_n(a->x, from + i, a->dx, d - i), d - i);
    }
}
