// swiglu: items are elements. h may be gate or up; dgate and dup may be gate, up or dh, each another.
#include "simd.h"

// swiglu_act is act(x) = x*gate and, if slope is not null, its derivative.
INLINE vf swiglu_act(int act, vf x, vf *slope) {
    if (act == ACT_GELU) {
        vf cdf = 0.5f * (1.0f + verf(x * 0.70710678f));
        if (slope) *slope = vfma(x * 0.39894228f, vexp(-0.5f * x * x), cdf);
        return x * cdf;
    }
    vf u = x, du = vset(1.0f);
    if (act == ACT_GELU_TANH) { // (1 + tanh(u/2))/2 = sigmoid(u)
        vf x2 = x * x;
        u = 1.5957691f * x * vfma(x2, vset(0.044715f), vset(1.0f));
        du = 1.5957691f * vfma(x2, vset(3 * 0.044715f), vset(1.0f));
    }
    vf s = 1.0f / (1.0f + vexp(-u));
    if (slope) *slope = s * vfma(x * du, 1.0f - s, vset(1.0f));
    return x * s;
}

INLINE void swiglu_range(const struct swiglu_args *a, int act, int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; i += VW) {
        vf h = swiglu_act(act, vget_n(a->gate, i, a->dg, hi - i), 0) * vget_n(a->up, i, a->du, hi - i);
        vput_n(a->h, i, a->dh, h, hi - i);
    }
}

void FN(swiglu)(const struct swiglu_args *a, int64_t lo, int64_t hi) {
    switch (a->act) {
    case ACT_SILU: swiglu_range(a, ACT_SILU, lo, hi); break;
    case ACT_GELU_TANH: swiglu_range(a, ACT_GELU_TANH, lo, hi); break;
    case ACT_GELU: swiglu_range(a, ACT_GELU, lo, hi); break;
    }
}

INLINE void swiglu_bwd_range(const struct swiglu_bwd_args *a, int act, int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; i += VW) {
        int64_t n = hi - i;
        vf slope, value = swiglu_act(act, vget_n(a->gate, i, a->dg, n), &slope);
        vf up = vget_n(a->up, i, a->du, n), dh = vget_n(a->dh, i, a->ddh, n);
        if (a->dgate) vput_n(a->dgate, i, a->ddgate, slope * up * dh, n);
        if (a->dup) vput_n(a->dup, i, a->ddup, value * dh, n);
    }
}

void FN(swiglu_bwd)(const struct swiglu_bwd_args *a, int64_t lo, int64_t hi) {
    switch (a->act) {
    case ACT_SILU: swiglu_bwd_range(a, ACT_SILU, lo, hi); break;
    case ACT_GELU_TANH: swiglu_bwd_range(a, ACT_GELU_TANH, lo, hi); break;
    case ACT_GELU: swiglu_bwd_range(a, ACT_GELU, lo, hi); break;
    }
}
