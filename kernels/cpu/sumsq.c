// sumsq: sums of squares in float64. Items are blocks of SUMSQ_BLOCK elements, each with a partial sum of its own, which
// the caller adds in order.
#include "simd.h"

void FN(sumsq)(const struct sumsq_args *a, int64_t lo, int64_t hi) {
    for (int64_t block = lo; block < hi; block++) {
        int64_t end = (block + 1) * SUMSQ_BLOCK;
        if (end > a->n) end = a->n;
        vd even = {0}, odd = {0};
        for (int64_t i = block * SUMSQ_BLOCK; i < end; i += VW) {
            float x[VW];
            vstore(x, vget_n(a->x, i, a->dx, end - i));
            vd l = __builtin_convertvector(*(const vf_half_mem *)x, vd);
            vd h = __builtin_convertvector(*(const vf_half_mem *)(x + VW / 2), vd);
            even += l * l;
            odd += h * h;
        }
        even += odd;
        double sum = 0;
        for (int i = 0; i < VW / 2; i++) sum += even[i];
        a->partial[block] = sum;
    }
}
