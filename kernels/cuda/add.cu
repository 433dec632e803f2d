// y = a + b: kernels.Add and kernels.Accumulate.
#include "device.cuh"

struct add_args {
  const void *a, *b;
  void *y;
  i64 n;
  i32 da, db, dy, pad;
};

// Eight elements a thread; all of a thread's elements are read before any is written, so y may be a or b.
// hot
KERNEL(add, add_args, 256, 1) {
  i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * 8;
  if (at >= args.n) return;
  f32 a[8], b[8];
  raw8 ra = fetch8(args.a, args.da, at, args.n), rb = fetch8(args.b, args.db, at, args.n);
  widen8(ra, args.da, a);
  widen8(rb, args.db, b);
  for (int i = 0; i < 8; i++) a[i] = a[i] + b[i];
  store8(args.y, args.dy, at, args.n, a);
}
