// y = s x: kernels.ScaleBy.
#include "device.cuh"

struct scaleby_args {
  const void *x;
  const f32 *s;
  void *y;
  i64 n;
  i32 dx, dy;
};

// hot
KERNEL(scaleby, scaleby_args, 256, 1) {
  i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * 8;
  if (at >= args.n) return;
  f32 x[8], s = args.s[0];
  load8(args.x, args.dx, at, args.n, x);
  for (int i = 0; i < 8; i++) x[i] = s * x[i];
  store8(args.y, args.dy, at, args.n, x);
}
