// add and accumulate: y = a + b. Items are elements. y may be a or b.
#include "simd.h"

void FN(add)(const struct add_args *g, int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; i += VW) {
        vf sum = vget_n(g->a, i, g->da, hi - i) + vget_n(g->b, i, g->db, hi - i);
        vput_n(g->y, i, g->dy, sum, hi - i);
    }
}
