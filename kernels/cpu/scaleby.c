// scaleby: y = s*x. Items are elements. y may be x.
#include "simd.h"

void FN(scaleby)(const struct scaleby_args *a, int64_t lo, int64_t hi) {
    vf s = vset(*a->s);
    for (int64_t i = lo; i < hi; i += VW) vput_n(a->y, i, a->dy, s * vget_n(a->x, i, a->dx, hi - i), hi - i);
}
