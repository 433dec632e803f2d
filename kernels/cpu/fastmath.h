// exp and tanh in float32 without branches or calls, so that loops over them vectorise.
#ifndef ATTUNE_FASTMATH_H
#define ATTUNE_FASTMATH_H

#include "vec.h"

// exp(x), within 1 ulp where the result is a normal number. Below ln(FLT_MIN) = -87.3365 the result is 0 (no denormals
// are made), above ln(FLT_MAX) = 88.7228 infinity; NaN stays NaN. x = n ln2 + r, |r| <= ln2/2, ln2 in two parts;
// polynomial of Cephes' expf (Moshier).
static inline float fast_expf(float x) {
    float z = x * 1.44269504088896341f + 12582912.0f; // 1.5 * 2^23: the sum's low bits are round(x / ln2)
    float n = z - 12582912.0f;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r;
    p = p + 1.0f;
    float y = f32_of_bits(bits_of_f32(p) + (bits_of_f32(z) << 23)); // times 2^n, through the exponent
    y = x < -87.33654f ? 0.0f : y;
    y = x > 88.72283f ? __builtin_inff() : y;
    return x != x ? x : y;
}

// tanh(x), within 2 ulp: Cephes' polynomial below 0.625, 1 - 2/(exp(2|x|)+1) above.
static inline float fast_tanhf(float x) {
    float a = __builtin_fabsf(x);
    float e = fast_expf(2.0f * (a > 10.0f ? 10.0f : a));
    float big = 1.0f - 2.0f / (e + 1.0f);
    float s = a * a;
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s + -5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s + -3.33332819422e-1f;
    p = p * s * a + a;
    float y = __builtin_copysignf(a < 0.625f ? p : big, x);
    return x != x ? x : y;
}

// 1/(1+exp(-x)).
static inline float fast_sigmoidf(float x) { return 1.0f / (1.0f + fast_expf(-x)); }

#endif
