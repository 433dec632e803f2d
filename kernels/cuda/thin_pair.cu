// What LoRA's gradient makes of g (T,O) first, both in one launch: g B and the sums of gᵀ xA, which is dB. Each is what thin_mul
// and thin_sum alone would give, to the bit; the blocks of both that read the same tokens are started together, so that g
// comes from memory once, and the second time, for the most part, from the second-level cache.
#include "thin_mul.cuh"
#include "thin_sum.cuh"

struct thin_pair_args {
  const void *g, *b, *xa; // (rows, cols), (cols, r), (rows, R)
  u16 *sgb;               // (rows, R)
  f32 *db;                // (pieces, cols, r)
  i64 ldg, ldb;
  i32 rows, cols, r, block;
  f32 scale;
  i32 pad;
};

template <int R> DEVICE void thin_pair(const thin_pair_args &args) {
  i32 across = (args.cols + SUM_COLS - 1) / SUM_COLS, down = args.block / THIN_ROWS;
  i32 piece = (i32)blockIdx.x / (across + down), in = (i32)blockIdx.x % (across + down);
  if (in < down) { // these take longer, and so begin first
    thin_mul_args mul = {args.g, args.b, nullptr, nullptr, args.sgb, args.ldg, args.ldb, args.rows, args.cols, args.r, 1.0f, args.scale, 0, 0, 0};
    if ((piece * down + in) * THIN_ROWS < args.rows) thin_mul<R, false>(mul, piece * down + in);
    return;
  }
  thin_sum_args sum = {args.g, args.xa, nullptr, args.db, args.ldg, R, args.r, 1, (i64)args.cols * args.r, args.rows, args.cols, args.r, args.block,
                       1.0f, 0, 0, 0};
  thin_sum<R>(sum, in - down, piece);
}

// hot
KERNEL(thin_pair_16, thin_pair_args, 128, 4) { thin_pair<16>(args); }
KERNEL(thin_pair_32, thin_pair_args, 128, 3) { thin_pair<32>(args); }
KERNEL(thin_pair_64, thin_pair_args, 128, 2) { thin_pair<64>(args); }
KERNEL(thin_pair_128, thin_pair_args, 128, 2) { thin_pair<128>(args); }
