// What attention_bwd needs of each query: log2(e)*lse and do.o. A warp a row; padding and the rows behind the last get +inf,
// so that their probabilities are 0, and 0.
#include "attention.cuh"

// hot
KERNEL(att_delta, att_args, 256, 5) {
  u32 w = blockIdx.x * 8 + threadIdx.x / 32, heads = (u32)args.heads; // 32 bits: a GPU has no instruction to divide more
  i32 t = (i32)(w / heads), h = (i32)(w % heads), lane = threadIdx.x % 32, dh = args.dh;
  if (t >= args.rows) return;
  bool padding = t >= args.tokens || args.lo[t] < 0;
  f32 sum = 0;
  if (!padding) {
    i64 at = (i64)w * dh;
    if (dh % 8 == 0) {
      for (i32 d = lane * 8; d < dh; d += 256) {
        raw8 ro = fetch8(args.o, args.to, at + d, at + dh), rg = fetch8(args.dout, args.tdout, at + d, at + dh);
        f32 o[8], g[8];
        widen8(ro, args.to, o);
        widen8(rg, args.tdout, g);
        UNROLL for (int j = 0; j < 8; j++) sum = fmaf(o[j], g[j], sum);
      }
    } else {
      for (i32 d = lane; d < dh; d += 32) sum = fmaf(load(args.o, args.to, at + d), load(args.dout, args.tdout, at + d), sum);
    }
  }
  sum = warp_sum(sum);
  if (lane == 0) {
    f32 *to = args.stat + ((i64)h * args.rows + t) * 2;
    to[0] = padding ? ATT_INF : args.lse[w] * 1.44269504088896341f;
    to[1] = sum;
  }
}
