// What kernels.Linear and LinearBwd need beside products: operands in the product's dtype, dropout, sums over tokens. All
// are bound by memory.
#include "device.cuh"

// y = scale x of up to four matrices; blockIdx.y says which. n elements are written, in rows of ld: cols of x and zeros.
struct linear_cast_args {
  const void *x[4];
  void *y[4];
  i64 n[4];
  i32 cols[4], ld[4], dx[4], dy[4];
  f32 scale[4];
};

// hot
KERNEL(linear_cast, linear_cast_args, 256, 1) {
  u32 which = blockIdx.y;
  i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * 8, n = args.n[which];
  if (at >= n) return;
  const void *x = args.x[which];
  i32 dtype = args.dx[which], cols = args.cols[which], ld = args.ld[which];
  f32 v[8];
  if (cols == ld) {
    load8(x, dtype, at, n, v);
  } else { // ld is a multiple of 8
    i64 row = at / ld, col = at - row * ld;
    UNROLL for (int i = 0; i < 8; i++) v[i] = col + i < cols ? load(x, dtype, row * cols + col + i) : 0.0f;
  }
  UNROLL for (int i = 0; i < 8; i++) v[i] = args.scale[which] * v[i];
  store8(args.y[which], args.dy[which], at, n, v);
}

// y = x where kernels.Uniform keeps the element, else 0; x (rows, cols). The factor 1/(1-rate) is the caller's. y may be x.
struct linear_drop_args {
  const void *x;
  void *y;
  const i32 *keys;
  i64 n;
  i32 cols, dx, dy;
  u32 salt;
  f32 rate;
  i32 pad;
};

// hot
KERNEL(linear_drop, linear_drop_args, 256, 1) {
  i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * 8;
  if (at >= args.n) return;
  f32 v[8];
  load8(args.x, args.dx, at, args.n, v);
  i64 row = at / args.cols;
  u32 col = (u32)(at - row * args.cols), a, b;
  uniform_row((u32)args.keys[row], args.salt, a, b);
  UNROLL for (int i = 0; i < 8; i++) {
    if (at + i < args.n && uniform_at(a, b, col) < args.rate) v[i] = 0; // a dropped NaN is 0, too
    if (++col == (u32)args.cols && at + i + 1 < args.n) {
      col = 0;
      uniform_row((u32)args.keys[++row], args.salt, a, b);
    }
  }
  store8(args.y, args.dy, at, args.n, v);
}

// y[p, j] = the sum of x[t, j] over the 128 rows t of piece p, in order; x (rows, cols).
struct colsum_args {
  const void *x;
  f32 *y;
  i32 rows, cols, dx, pad;
};

// hot
KERNEL(colsum, colsum_args, 128, 1) {
  i32 col = (i32)(blockIdx.x * 128 + threadIdx.x), first = (i32)blockIdx.y * 128;
  if (col >= args.cols) return;
  i32 end = first + 128 < args.rows ? first + 128 : args.rows;
  f32 sum = 0;
  for (i32 t = first; t < end; t++) sum += load(args.x, args.dx, (i64)t * args.cols + col);
  args.y[(i64)blockIdx.y * args.cols + col] = sum;
}

// y[j] = scale times the sum of x[p, j] over all pieces p, in order, for up to two y; blockIdx.y says which. It is added to
// sum, if there is one.
struct sum_partials_args {
  const f32 *x[2];
  f32 *y[2];
  f32 *sum[2];
  i64 n[2];
  i32 pieces[2];
  f32 scale[2];
};

// hot
KERNEL(sum_partials, sum_partials_args, 256, 1) {
  u32 which = blockIdx.y;
  i64 at = (i64)blockIdx.x * 256 + threadIdx.x, n = args.n[which];
  if (at >= n) return;
  const f32 *x = args.x[which];
  i32 pieces = args.pieces[which];
  f32 y = 0, *sum = args.sum[which];
  for (i32 p = 0; p < pieces; p++) y += x[p * n + at];
  y = args.scale[which] * y;
  args.y[which][at] = y;
  if (sum) sum[at] = sum[at] + y;
}
