// kernels.SwiGLU and kernels.SwiGLUBwd, in the order of kernels/cpu/swiglu.c. In bfloat16 6 and 10 bytes an element; reads
// and writes each once.
#include "device.cuh"

enum { SILU, GELU_TANH, GELU };

struct swiglu_args {
  const void *gate, *up;
  void *h;
  i64 n;
  i32 act, dg, du, dh;
};

struct swiglu_bwd_args {
  const void *gate, *up, *dh;
  void *dgate, *dup; // either may be null
  i64 n;
  i32 act, dg, du, ddh, ddgate, ddup;
};

// swiglu_act is act(x), and its derivative in slope. ACT is known when this is compiled and the reciprocal is one instruction:
// branches between the elements of a thread would have each wait for the last one's, and a GPU has instructions for about 50 an
// element while memory brings it the next.
template <int ACT> DEVICE f32 swiglu_act(f32 x, f32 &slope) {
  if (ACT == GELU) {
    f32 cdf = 0.5f * (1.0f + erff(x * 0.70710678f));
    slope = fmaf(x * 0.39894228f, expf(-0.5f * x * x), cdf);
    return x * cdf;
  }
  f32 u = x, du = 1.0f;
  if (ACT == GELU_TANH) { // (1 + tanh(u/2))/2 = sigmoid(u)
    f32 x2 = x * x;
    u = 1.5957691f * x * fmaf(x2, 0.044715f, 1.0f);
    du = 1.5957691f * fmaf(x2, 3 * 0.044715f, 1.0f);
  }
  f32 s = rcp_approx(1.0f + expf(-u));
  slope = s * fmaf(x * du, 1.0f - s, 1.0f);
  return x * s;
}

// All of a thread's elements are read before any is written, so h may be gate or up.
template <int ACT> DEVICE void swiglu_forward(const swiglu_args &args, i64 at) {
  f32 gate[8], up[8], slope;
  raw8 rg = fetch8(args.gate, args.dg, at, args.n), ru = fetch8(args.up, args.du, at, args.n);
  widen8(rg, args.dg, gate);
  widen8(ru, args.du, up);
  UNROLL for (int i = 0; i < 8; i++) up[i] = swiglu_act<ACT>(gate[i], slope) * up[i];
  store8(args.h, args.dh, at, args.n, up);
}

// dgate and dup may be any two of the inputs.
template <int ACT> DEVICE void swiglu_backward(const swiglu_bwd_args &args, i64 at) {
  f32 gate[8], up[8], dh[8];
  raw8 rg = fetch8(args.gate, args.dg, at, args.n), ru = fetch8(args.up, args.du, at, args.n);
  raw8 rh = fetch8(args.dh, args.ddh, at, args.n);
  widen8(rg, args.dg, gate);
  widen8(ru, args.du, up);
  widen8(rh, args.ddh, dh);
  UNROLL for (int i = 0; i < 8; i++) {
    f32 slope, value = swiglu_act<ACT>(gate[i], slope);
    gate[i] = slope * up[i] * dh[i];
    up[i] = value * dh[i];
  }
  if (args.dgate) store8(args.dgate, args.ddgate, at, args.n, gate);
  if (args.dup) store8(args.dup, args.ddup, at, args.n, up);
}

// hot
KERNEL(swiglu, swiglu_args, 256, 5) {
  i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * 8;
  if (at >= args.n) return;
  if (args.act == SILU) swiglu_forward<SILU>(args, at);
  else if (args.act == GELU_TANH) swiglu_forward<GELU_TANH>(args, at);
  else swiglu_forward<GELU>(args, at);
}
KERNEL(swiglu_bwd, swiglu_bwd_args, 256, 4) {
  i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * 8;
  if (at >= args.n) return;
  if (args.act == SILU) swiglu_backward<SILU>(args, at);
  else if (args.act == GELU_TANH) swiglu_backward<GELU_TANH>(args, at);
  else swiglu_backward<GELU>(args, at);
}
