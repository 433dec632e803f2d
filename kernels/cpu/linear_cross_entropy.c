// The row-wise parts of linear_cross_entropy: softmax statistics of a block of logits while it is in cache, and the
// gradient of the logits. Sums are in the order of the vector lanes, whole blocks at a time, so no bit depends on threads.
#include "isa.h"

#include "fastmath.h"

void FN(logit_stats)(const struct logit_stats_args *a, int64_t lo, int64_t hi) {
    for (int64_t r = lo; r < hi; r++) {
        float *z = a->z + r * a->vocab + a->first;
        if (a->cap > 0) {
            float inv = 1 / a->cap;
#pragma omp simd
            for (int64_t j = 0; j < a->n; j++) z[j] = a->cap * fast_tanhf(z[j] * inv);
        }
        float max = -__builtin_inff();
#pragma omp simd reduction(max : max)
        for (int64_t j = 0; j < a->n; j++) max = z[j] > max ? z[j] : max;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < a->n; j++) sum += fast_expf(z[j] - max);
        a->max[r * a->blocks + a->block] = max;
        a->sum[r * a->blocks + a->block] = sum;
    }
}

// Probabilities below e^LEAST count as 0 in the gradient. Over any vocabulary they add up to far less than the rounding of
// the others' sum, and they would be denormal once multiplied, which takes processors up to a hundred times as long.
#define LEAST (-60.0f)

void FN(logit_grad)(const struct logit_grad_args *a, int64_t lo, int64_t hi) {
    for (int64_t r = lo; r < hi; r++) {
        const float *z = a->z + r * a->vocab + a->first;
        float *d = a->dst + (r - lo) * a->ld;
        float lse = a->lse[r], w = a->weight[r];
        int64_t t = a->target[r] - a->first;
        int here = t >= 0 && t < a->n;
        float zt = here ? z[t] : 0, inv = a->cap > 0 ? 1 / a->cap : 0;
#pragma omp simd // d may be z
        for (int64_t j = 0; j < a->n; j++) {
            float s = z[j] * inv, x = z[j] - lse;
            float g = w * fast_expf(x) * (1 - s * s);
            d[j] = x < LEAST ? 0 : g;
        }
        if (here) {
            float s = zt * inv;
            d[t] = w * (fast_expf(zt - lse) - 1) * (1 - s * s);
        }
    }
}
