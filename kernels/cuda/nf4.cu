// kernels.NF4: reads half a byte an element and, rarely, a scale; writes each once.
#include "device.cuh"

struct nf4_args {
  const u32 *codes;
  const f32 *absmax;
  void *y;
  i64 n;
  i32 block, dy;
  f32 levels[16];
};

// hot
KERNEL(nf4, nf4_args, 256, 4) {
  f32 *levels = shared<f32>(); // the lanes of a warp look up different ones
  if (threadIdx.x < 16) levels[threadIdx.x] = args.levels[threadIdx.x];
  __syncthreads();
  i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * 8;
  if (at >= args.n) return;
  u32 codes = args.codes[at / 8];
  i64 block = at / args.block, next = (block + 1) * args.block;
  f32 y[8], scale = args.absmax[block];
  UNROLL for (int j = 0; j < 8; j++) {
    if (at + j == next) { scale = args.absmax[++block]; next += args.block; }
    y[j] = levels[codes >> (8 * (j / 2) + 4 * (1 - j % 2)) & 15] * scale;
  }
  store8(args.y, args.dy, at, args.n, y);
}
