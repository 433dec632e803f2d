// kernels.EmbedBwd: dweight[v] = the sum of dy[t] over ids[t] = v, in ascending t, where dweight is 0 before. The block of a
// token whose id stands nowhere before it adds the rows of all its occurrences; the others end at once. Reads dy once, and
// the ids, which stay in cache, once a block.
#include "row.cuh"

struct embed_bwd_args {
  const i32 *ids;
  const void *dy; // (tokens, d)
  f32 *dweight;   // (vocab, d)
  i64 vocab;
  i32 tokens, d, ddy, pad;
};

// The id of token t, -1 behind the last: no id is that.
DEVICE i32 embed_id(const embed_bwd_args &args, i32 t) { return t < args.tokens ? args.ids[t] : -1; }

// hot
KERNEL(embed_bwd, embed_bwd_args, 256, 4) {
  u32 *found = shared<u32>(); // a word a warp
  i32 token = (i32)blockIdx.x, id = args.ids[token], thread = (i32)threadIdx.x, c = ((i32)blockIdx.y * 256 + thread) * 8;
  if (id < 0 || id >= args.vocab) return;
  u32 before = 0;
  for (i32 t = thread; t < token; t += 256) before |= args.ids[t] == id;
  if (block_sum(before, found) > 0) return;
  f32 sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (i32 t = token; t < args.tokens; t += 256) {
    u32 same = __ballot_sync(0xffffffffu, embed_id(args, t + thread) == id);
    if (thread % 32 == 0) found[thread / 32] = same;
    __syncthreads();
    for (i32 w = 0; w < 8; w++)
      for (u32 bits = found[w]; bits && c < args.d; bits &= bits - 1) {
        f32 dy[8];
        row_load8(args.dy, args.ddy, (i64)(t + 32 * w + __ffs((i32)bits) - 1) * args.d, c, args.d, dy);
        UNROLL for (int j = 0; j < 8; j++) sum[j] = sum[j] + dy[j];
      }
    __syncthreads();
  }
  if (c < args.d) row_store8(args.dweight, FLOAT32, (i64)id * args.d, c, args.d, sum);
}
