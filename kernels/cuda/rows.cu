// kernels.Embed and kernels.Rows: y[n] = x[index[n]]. Reads and writes each row once, 32 columns a thread at a time. A row
// that is not there is written as NaN, so that a wrong id cannot go unseen: contents are not checked before.
#include "row.cuh"

struct rows_args {
  const void *x; // (rows, d)
  const i32 *index;
  void *y; // (n, d)
  i64 rows;
  i32 d, dx, dy, pad;
};

// hot
KERNEL(rows, rows_args, 128, 4) {
  i64 from = args.index[blockIdx.x], to = (i64)blockIdx.x * args.d;
  bool there = from >= 0 && from < args.rows;
  for (i32 c = (i32)threadIdx.x * 8; c < args.d; c += 4 * 128 * 8) {
    raw8 raw[4];
    UNROLL for (int k = 0; k < 4; k++)
      if (there && c + k * 1024 < args.d) raw[k] = row_fetch8(args.x, args.dx, from * args.d, c + k * 1024, args.d);
    UNROLL for (int k = 0; k < 4; k++) {
      if (c + k * 1024 >= args.d) continue;
      f32 v[8];
      if (there) {
        widen8(raw[k], args.dx, v);
      } else {
        UNROLL for (int j = 0; j < 8; j++) v[j] = bits_f32(0x7fffffff);
      }
      row_store8(args.y, args.dy, to, c + k * 1024, args.d, v);
    }
  }
}
