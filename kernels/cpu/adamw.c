// adamw: the order of torch.optim.AdamW, each operation rounded to float32 where torch rounds. Items are elements. The
// outputs may be (and are) the inputs.
#include "simd.h"

void FN(adamw)(const struct adamw_args *a, int64_t lo, int64_t hi) {
    vf decay = vset(a->decay), scale = vset(a->grad_scale), weight1 = vset(a->one_minus_beta1), beta2 = vset(a->beta2);
    vf weight2 = vset(a->one_minus_beta2), bias2 = vset(a->sqrt_bias2), eps = vset(a->eps), step = vset(-a->step_size);
    for (int64_t i = lo; i < hi; i += VW) {
        int64_t n = hi - i;
        vf g = vround(scale * vget_n(a->grad, i, F32, n));
        vf m = vget_n(a->m, i, F32, n), v = vget_n(a->v, i, F32, n), p = vget_n(a->param, i, F32, n);
        p = vround(p * decay);
        m = vfma(weight1, g - m, m);                           // lerp_(grad, 1 - beta1)
        v = vround(v * beta2) + vround(vround(weight2 * g) * g); // mul_(beta2).addcmul_(grad, grad, 1 - beta2)
        vf denom = vround(vsqrt(v) / bias2) + eps;
        p = p + vround(step * m) / denom;                      // addcdiv_(exp_avg, denom, -step_size)
        if (a->out_param) vput_n(a->out_param, i, F32, p, n);
        if (a->out_m) vput_n(a->out_m, i, F32, m, n);
        if (a->out_v) vput_n(a->out_v, i, F32, v, n);
    }
}
