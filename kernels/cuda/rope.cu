// kernels.RoPE. A block makes the angles of a few tokens once, in shared memory, and turns all their heads; x is read once
// and y, which may be x, written. The angle is taken and reduced in float64 and the functions are polynomials, as in
// kernels/cpu/rope.c: cosf and sinf would need a stack for large angles.
#include "device.cuh"

struct rope_args {
  const void *x; // (tokens, heads, 2 half)
  const i32 *positions;
  void *y;
  i32 tokens, heads, half, block; // block: tokens a block
  i32 dx, dy;
  f64 scale, sign;
  f64 inv_freq[128];
};

// pi/2 is taken off in two parts, the first of 33 bits: exact up to a million turns. The polynomials are fdlibm's.
DEVICE void rope_angle(f64 angle, f64 scale, f64 sign, f32 &c, f32 &s) {
  f64 shift = 6755399441055744.0; // 1.5 * 2^52: adding it leaves the nearest integer in the low bits
  f64 t = angle * 0.63661977236758134308 + shift, k = t - shift;
  f64 r = angle - k * 1.57079632673412561417;
  r = r - k * 6.07710050650619224932e-11;
  f64 z = r * r;
  f64 sn = -2.50507602534068634195e-08;
  sn = sn * z + 2.75573137070700676789e-06;
  sn = sn * z + -1.98412698298579493134e-04;
  sn = sn * z + 8.33333333332248946124e-03;
  sn = sn * z + -1.66666666666666324348e-01;
  sn = sn * z * r + r;
  f64 cs = 2.08757232129817482790e-09;
  cs = cs * z + -2.75573143513906633035e-07;
  cs = cs * z + 2.48015872894767294178e-05;
  cs = cs * z + -1.38888888888741095749e-03;
  cs = cs * z + 4.16666666666666019037e-02;
  cs = cs * z * z + (1.0 - 0.5 * z);
  u64 quadrant;
  memcpy(&quadrant, &t, 8);
  f64 sine = quadrant & 1 ? cs : sn, cosine = quadrant & 1 ? sn : cs;
  c = (f32)(((quadrant + 1) & 2 ? -cosine : cosine) * scale);
  s = (f32)((quadrant & 2 ? -sine : sine) * scale * sign);
}

DEVICE void rope_turn(f32 c, f32 s, f32 &a, f32 &b) {
  f32 x = a;
  a = x * c - b * s;
  b = b * c + x * s;
}

// hot
KERNEL(rope, rope_args, 128, 8) {
  i32 half = args.half, first = (i32)blockIdx.x * args.block;
  i32 tokens = args.tokens - first < args.block ? args.tokens - first : args.block;
  f32 *c = shared<f32>(), *s = c + args.block * half;
  for (i32 i = (i32)threadIdx.x; i < tokens * half; i += 128)
    rope_angle((f64)args.positions[first + i / half] * args.inv_freq[i % half], args.scale, args.sign, c[i], s[i]);
  __syncthreads();
  if (half % 8) {
    for (i32 i = (i32)threadIdx.x; i < tokens * args.heads * half; i += 128) {
      i32 head = i / half, j = i % half, t = head / args.heads;
      i64 at = ((i64)first * args.heads + head) * 2 * half + j;
      f32 a = load(args.x, args.dx, at), b = load(args.x, args.dx, at + half);
      rope_turn(c[t * half + j], s[t * half + j], a, b);
      store(args.y, args.dy, at, a);
      store(args.y, args.dy, at + half, b);
    }
    return;
  }
  for (i32 i = (i32)threadIdx.x; i < tokens * args.heads * half / 8; i += 128) {
    i32 head = i / (half / 8), j = i % (half / 8) * 8, t = head / args.heads;
    i64 at = ((i64)first * args.heads + head) * 2 * half + j;
    raw8 ra = fetch8(args.x, args.dx, at, at + 8), rb = fetch8(args.x, args.dx, at + half, at + half + 8);
    f32 a[8], b[8];
    widen8(ra, args.dx, a);
    widen8(rb, args.dx, b);
    UNROLL for (int n = 0; n < 8; n++) rope_turn(c[t * half + j + n], s[t * half + j + n], a[n], b[n]);
    store8(args.y, args.dy, at, at + 8, a);
    store8(args.y, args.dy, at + half, at + half + 8, b);
  }
}
