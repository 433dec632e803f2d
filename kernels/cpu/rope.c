// rope: items are tokens. y may be x.
#include "simd.h"
#include "vec.h"

INLINE int64_t rope_bits(double d) {
    union { double d; int64_t i; } x = {.d = d};
    return x.i;
}

// rope_angles writes cos and sin of p*freq, times scale. The angle is taken and reduced in float64 (pi/2 in two parts,
// the first of 33 bits: exact up to a million turns), the polynomials are fdlibm's.
static void rope_angles(float *restrict c, float *restrict s, const double *restrict freq, int64_t n, double p,
                        double scale, double sign) {
    const double shift = 6755399441055744.0; // 1.5 * 2^52: adding it leaves the nearest integer in the low bits
    for (int64_t i = 0; i < n; i++) {
        double angle = p * freq[i];
        double t = angle * 0.63661977236758134308 + shift;
        double k = t - shift;
        double r = angle - k * 1.57079632673412561417;
        r = r - k * 6.07710050650619224932e-11;
        double z = r * r;
        double sin_r = -2.50507602534068634195e-08;
        sin_r = sin_r * z + 2.75573137070700676789e-06;
        sin_r = sin_r * z + -1.98412698298579493134e-04;
        sin_r = sin_r * z + 8.33333333332248946124e-03;
        sin_r = sin_r * z + -1.66666666666666324348e-01;
        sin_r = sin_r * z * r + r;
        double cos_r = 2.08757232129817482790e-09;
        cos_r = cos_r * z + -2.75573143513906633035e-07;
        cos_r = cos_r * z + 2.48015872894767294178e-05;
        cos_r = cos_r * z + -1.38888888888741095749e-03;
        cos_r = cos_r * z + 4.16666666666666019037e-02;
        cos_r = cos_r * z * z + (1.0 - 0.5 * z);
        int64_t quadrant = rope_bits(t);
        double sn = quadrant & 1 ? cos_r : sin_r;
        double cs = quadrant & 1 ? sin_r : cos_r;
        c[i] = (float)(((quadrant + 1) & 2 ? -cs : cs) * scale);
        s[i] = (float)((quadrant & 2 ? -sn : sn) * scale * sign);
    }
}

void FN(rope)(const struct rope_args *a, int64_t lo, int64_t hi) {
    float c[ROPE_MAX], s[ROPE_MAX];
    int64_t half = a->half;
    for (int64_t t = lo; t < hi; t++) {
        rope_angles(c, s, a->inv_freq, half, a->positions[t], a->scale, a->inverse ? -1.0 : 1.0);
        for (int64_t h = 0; h < a->heads; h++) {
            int64_t at = (t * a->heads + h) * 2 * half;
            for (int64_t i = 0; i < half; i += VW) {
                int64_t n = half - i;
                vf x1 = vget_n(a->x, at + i, a->dx, n), x2 = vget_n(a->x, at + half + i, a->dx, n);
                vf cv = vget_n(c, i, F32, n), sv = vget_n(s, i, F32, n);
                vput_n(a->y, at + i, a->dy, x1 * cv - x2 * sv, n);
                vput_n(a->y, at + half + i, a->dy, x2 * cv + x1 * sv, n);
            }
        }
    }
}
