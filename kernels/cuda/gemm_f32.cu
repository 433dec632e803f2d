// D = alpha op(A) op(B) + beta C + bias in float32, without tensor cores: every element of D is one chain of fused
// multiply-adds in the order of k, so its bits depend neither on the tile nor on the grid.
//
// 256 threads make a tile of 128x128 (8x8 a thread) or, where such tiles are too few to fill a device, 64x64 (4x4), in
// steps of 16 k. The next step is read into registers while the current one is multiplied; shared memory holds two steps:
// 33 KB (17 KB). A step of the large tile is 64*16 multiply-adds and 4*16 loads of 16 bytes from shared memory a thread, so
// the bound is the rate of fmaf.
#include "device.cuh"

struct gemm_f32_args {
  const void *a, *b, *c, *bias;
  void *d;
  i64 lda, ldb, ldc, ldd;
  i32 m, n, k, ta, tb, dcd, dbias;
  f32 alpha, beta;
  i32 pad;
};

enum { F32_DEPTH = 16, F32_PAD = 4 };

// An operand of the product, k by lanes: rows of A and columns of B are its lanes.
struct f32_operand {
  const f32 *p;
  i64 ld;
  i32 lanes, k;
  bool along; // consecutive elements follow k; otherwise the lanes
  bool wide;  // 16 bytes may be read at once
};

DEVICE f32_operand f32_operand_of(const void *p, i64 ld, i32 lanes, i32 k, bool along) {
  return f32_operand{(const f32 *)p, ld, lanes, k, along, ((u64)p | (u64)(4 * ld)) % 16 == 0};
}

// f32_run reads N elements of row r from column c on; those past the matrix are 0.
template <int N> DEVICE void f32_run(const f32_operand &o, i32 r, i32 c, f32 (&v)[N]) {
  i32 rows = o.along ? o.lanes : o.k, cols = o.along ? o.k : o.lanes;
  i64 at = (i64)r * o.ld + c;
  if (o.wide && r < rows && c + N <= cols) {
    UNROLL for (int i = 0; i < N; i += 4) {
      f32x4 u = *(const f32x4 *)(o.p + at + i);
      v[i] = u.x; v[i + 1] = u.y; v[i + 2] = u.z; v[i + 3] = u.w;
    }
    return;
  }
  UNROLL for (int i = 0; i < N; i++) v[i] = r < rows && c + i < cols ? o.p[at + i] : 0.0f;
}

// f32_fetch and f32_stage bring a step of 16 k by 16*T lanes to registers (T a thread) and on to shared memory, as (k, lane).
template <int T> DEVICE void f32_fetch(const f32_operand &o, i32 lane0, i32 k0, f32 (&v)[T]) {
  const int pieces = F32_DEPTH / T; // a row of 16 k
  i32 t = (i32)threadIdx.x;
  if (o.along) f32_run<T>(o, lane0 + t / pieces, k0 + t % pieces * T, v);
  else f32_run<T>(o, k0 + t / 16, lane0 + t % 16 * T, v);
}
template <int T> DEVICE void f32_stage(f32 *s, bool along, const f32 (&v)[T]) {
  const int pieces = F32_DEPTH / T, width = 16 * T + F32_PAD;
  i32 t = (i32)threadIdx.x;
  if (along) {
    UNROLL for (int i = 0; i < T; i++) s[(t % pieces * T + i) * width + t / pieces] = v[i];
  } else {
    UNROLL for (int i = 0; i < T; i += 4)
      *(f32x4 *)(s + t / 16 * width + t % 16 * T + i) = f32x4{v[i], v[i + 1], v[i + 2], v[i + 3]};
  }
}

// A thread has lanes 4*place to 4*place+3 of each 64.
template <int T> DEVICE void f32_lanes(const f32 *s, i32 place, f32 (&v)[T]) {
  UNROLL for (int i = 0; i < T; i += 4) {
    f32x4 u = *(const f32x4 *)(s + 16 * i + 4 * place);
    v[i] = u.x; v[i + 1] = u.y; v[i + 2] = u.z; v[i + 3] = u.w;
  }
}

template <int T> DEVICE void gemm_f32(const gemm_f32_args &args) {
  const int width = 16 * T + F32_PAD, step = F32_DEPTH * width;
  f32 *as = shared<f32>(), *bs = as + 2 * step;
  i32 n0 = (i32)blockIdx.x * 16 * T, m0 = (i32)blockIdx.y * 16 * T;
  i32 row = (i32)threadIdx.x / 16, col = (i32)threadIdx.x % 16;
  f32_operand a = f32_operand_of(args.a, args.lda, args.m, args.k, !args.ta);
  f32_operand b = f32_operand_of(args.b, args.ldb, args.n, args.k, args.tb);
  f32 acc[T][T], fa[T], fb[T];
  UNROLL for (int i = 0; i < T; i++) UNROLL for (int j = 0; j < T; j++) acc[i][j] = 0;
  f32_fetch<T>(a, m0, 0, fa);
  f32_fetch<T>(b, n0, 0, fb);
  f32_stage<T>(as, a.along, fa);
  f32_stage<T>(bs, b.along, fb);
  __syncthreads();
  for (i32 k0 = 0, now = 0; k0 < args.k; k0 += F32_DEPTH, now ^= 1) {
    bool more = k0 + F32_DEPTH < args.k;
    if (more) {
      f32_fetch<T>(a, m0, k0 + F32_DEPTH, fa);
      f32_fetch<T>(b, n0, k0 + F32_DEPTH, fb);
    }
    UNROLL for (int k = 0; k < F32_DEPTH; k++) {
      f32 x[T], y[T];
      f32_lanes<T>(as + now * step + k * width, row, x);
      f32_lanes<T>(bs + now * step + k * width, col, y);
      UNROLL for (int i = 0; i < T; i++) UNROLL for (int j = 0; j < T; j++) acc[i][j] = fmaf(x[i], y[j], acc[i][j]);
    }
    if (more) {
      f32_stage<T>(as + (now ^ 1) * step, a.along, fa);
      f32_stage<T>(bs + (now ^ 1) * step, b.along, fb);
      __syncthreads();
    }
  }
  UNROLL for (int i = 0; i < T; i++) {
    i32 m = m0 + i / 4 * 64 + 4 * row + i % 4;
    UNROLL for (int j = 0; j < T; j++) {
      i32 n = n0 + j / 4 * 64 + 4 * col + j % 4;
      if (m >= args.m || n >= args.n) continue;
      f32 v = args.alpha * acc[i][j];
      if (args.beta != 0) v = fmaf(args.beta, load(args.c, args.dcd, (i64)m * args.ldc + n), v);
      if (args.bias) v += load(args.bias, args.dbias, n);
      store(args.d, args.dcd, (i64)m * args.ldd + n, v);
    }
  }
}

// hot
KERNEL(gemm_f32_128, gemm_f32_args, 256, 2) { gemm_f32<8>(args); }
KERNEL(gemm_f32_64, gemm_f32_args, 256, 2) { gemm_f32<4>(args); }
