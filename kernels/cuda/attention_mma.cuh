// What the bfloat16 kernels of attention share: tiles of rows in shared memory and their pieces as operands of mma.
//
// A tile has rows of DP elements, the head size rounded up and filled up with 0. The 16-byte chunks of a row are permuted by
// the row's number where their count is a multiple of 8, and rows are a chunk longer otherwise: the 8 rows that ldmatrix
// reads at once then lie in different banks.
#pragma once
#include "attention.cuh"
#include "device_sm80.cuh"

#ifdef EMULATOR
#define ATT_MEMBER inline
#else
#define ATT_MEMBER __device__ __forceinline__
#endif

template <int DP> constexpr int att_pitch = DP % 64 == 0 ? DP : DP + 8;

// att_at is where chunk c of row r of a tile is, in elements.
template <int DP> DEVICE i32 att_at(i32 r, i32 c) {
  return r * att_pitch<DP> + (DP % 64 == 0 ? c ^ (r & 7) : c) * 8;
}

// att_load begins to copy rows t0 to t0+ROWS-1 of head `head` to a tile, by all threads. Rows from end on, and those that are
// padding, are 0 whatever they hold: products of 0 and NaN would spread it. The copy is done after cp_async_wait and a barrier.
template <int DP, int ROWS, int THREADS>
DEVICE void att_load(u16 *tile, const void *from, i32 heads, i32 head, i32 t0, i32 end, i32 dh, const i32 *pad) {
  constexpr int CHUNKS = DP / 8;
  const u16 *base = (const u16 *)from + (i64)head * dh;
  i64 stride = (i64)heads * dh;
  bool whole = dh % 8 == 0;
  for (i32 e = threadIdx.x; e < ROWS * CHUNKS; e += THREADS) {
    i32 r = e / CHUNKS, c = e % CHUNKS, t = t0 + r;
    bool keep = t < end && c * 8 < dh && !(pad && pad[t] < 0);
    const u16 *src = keep ? base + t * stride + c * 8 : base;
    u16 *dst = tile + att_at<DP>(r, c);
    if (whole) {
      cp_async16(dst, src, keep ? 16 : 0);
    } else {
      for (int j = 0; j < 8; j++) dst[j] = keep && c * 8 + j < dh ? src[j] : 0;
    }
  }
}

// att_a is the 16 x 16 piece of a tile from row r and column 16*ks on, as the first operand.
template <int DP> DEVICE void att_a(u32 (&a)[4], const u16 *tile, i32 r, i32 ks) {
  i32 lane = threadIdx.x % 32;
  ldmatrix_x4(a, tile + att_at<DP>(r + (lane & 15), 2 * ks + (lane >> 4)));
}

// att_b is rows r to r+8*N-1, columns 16*ks on, transposed, as the second operand: products of rows with rows.
template <int DP, int N> DEVICE void att_b(u32 (&b)[N][2], const u16 *tile, i32 r, i32 ks) {
  i32 lane = threadIdx.x % 32;
  UNROLL for (int n = 0; n < N; n += 2) {
    u32 w[4];
    ldmatrix_x4(w, tile + att_at<DP>(r + n * 8 + (lane & 7) + (lane >> 4) * 8, 2 * ks + (lane >> 3 & 1)));
    b[n][0] = w[0]; b[n][1] = w[1]; b[n + 1][0] = w[2]; b[n + 1][1] = w[3];
  }
}

// att_bt is rows r to r+15 and the N chunks from c on, as the second operand: sums of rows.
template <int DP, int N> DEVICE void att_bt(u32 (&b)[N][2], const u16 *tile, i32 r, i32 c) {
  i32 lane = threadIdx.x % 32;
  UNROLL for (int n = 0; n < N; n += 2) {
    u32 w[4];
    ldmatrix_x4_trans(w, tile + att_at<DP>(r + (lane & 15), c + n + (lane >> 4)));
    b[n][0] = w[0]; b[n][1] = w[1]; b[n + 1][0] = w[2]; b[n + 1][1] = w[3];
  }
}

// att_pack is columns 16*k to 16*k+15 of a result, rounded, as the first operand of the next product.
template <int N> DEVICE void att_pack(u32 (&a)[4], const f32 (&s)[N], int k) {
  UNROLL for (int i = 0; i < 4; i++) a[i] = f32_bf16x2(s[8 * k + 2 * i], s[8 * k + 2 * i + 1]);
}

// att_sums are 16 rows of DP sums of a warp, in pieces of as many columns as one product is asked for.
template <int DP> struct att_sums {
  static constexpr int N = DP <= 96 ? DP / 8 : DP == 256 ? 4 : 8, PIECES = DP / 8 / N;
  union { f32 v[PIECES][N][4]; f32 all[DP / 2]; };

  ATT_MEMBER void clear() {
    UNROLL for (int p = 0; p < PIECES; p++) UNROLL for (int n = 0; n < N; n++) UNROLL for (int e = 0; e < 4; e++) v[p][n][e] = 0;
  }
  // scale multiplies the two rows that a thread has parts of.
  ATT_MEMBER void scale(f32 upper, f32 lower) {
    UNROLL for (int p = 0; p < PIECES; p++) UNROLL for (int n = 0; n < N; n++) {
      v[p][n][0] *= upper; v[p][n][1] *= upper; v[p][n][2] *= lower; v[p][n][3] *= lower;
    }
  }
  // add is += a . rows r to r+15 of the tile.
  ATT_MEMBER void add(const u32 (&a)[4], const u16 *tile, i32 r) {
    UNROLL for (int p = 0; p < PIECES; p++) {
      u32 b[N][2];
      att_bt<DP, N>(b, tile, r, p * N);
      mma_bf16_row<N>(v[p], a, b);
    }
  }
};

// att_softmax turns a thread's part of the scores of 16 rows, 8 columns after 8 of them as mma leaves them and for keys from
// k0 on, into probabilities relative to 2^(unit*top), adds them to sum and sets what older sums are to be multiplied by. top
// is in products where plain (scores are inner times them), else in scores.
template <int N, class A>
DEVICE void att_softmax(const A &args, f32 (&s)[N], i32 k0, bool inner, const i32 (&lo)[2], const i32 (&hi)[2], bool plain, f32 unit,
                        f32 (&top)[2], f32 (&sum)[2], f32 (&alpha)[2]) {
  i32 column = k0 + 2 * (threadIdx.x % 4);
  if (!plain) {
    f32 slope;
    UNROLL for (int i = 0; i < N; i++) s[i] = att_score(args, s[i], slope);
  }
  if (!inner) {
    UNROLL for (int i = 0; i < N; i++) {
      i32 j = column + i / 4 * 8 + i % 2, r = i / 2 % 2;
      if (j < lo[r] || j >= hi[r]) s[i] = -ATT_INF;
    }
  }
  UNROLL for (int r = 0; r < 2; r++) {
    f32 most = top[r];
    UNROLL for (int i = 2 * r; i < N; i += 4) most = fmaxf(most, fmaxf(s[i], s[i + 1]));
    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
    f32 base = most == -ATT_INF ? 0.0f : most * unit; // a NaN is no maximum: it comes by the sum
    alpha[r] = top[r] == -ATT_INF ? 0.0f : exp2_approx(top[r] * unit - base);
    top[r] = most;
    f32 part = 0;
    UNROLL for (int i = 2 * r; i < N; i += 4) {
      s[i] = exp2_approx(fmaf(s[i], unit, -base));
      s[i + 1] = exp2_approx(fmaf(s[i + 1], unit, -base));
      part += s[i] + s[i + 1];
    }
    sum[r] = fmaf(sum[r], alpha[r], part);
  }
}

// att_store writes a warp's 16 rows of sums to rows t0 on of head `head`, by way of 16 rows of a tile that no one else uses any
// more. Rows from end on are left, and rows that are padding are 0.
template <int DP>
DEVICE void att_store(const f32 (&v)[DP / 2], u16 *tile, void *to, i32 heads, i32 head, i32 t0, i32 end, i32 dh, const i32 *pad) {
  i32 lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  __syncwarp();
  UNROLL for (int c = 0; c < DP / 8; c++) {
    *(u32 *)(tile + att_at<DP>(g, c) + 2 * q) = f32_bf16x2(v[4 * c], v[4 * c + 1]);
    *(u32 *)(tile + att_at<DP>(g + 8, c) + 2 * q) = f32_bf16x2(v[4 * c + 2], v[4 * c + 3]);
  }
  __syncwarp();
  for (i32 e = lane; e < 16 * (DP / 8); e += 32) {
    i32 r = e / (DP / 8), c = e % (DP / 8), t = t0 + r;
    if (t >= end || c * 8 >= dh) continue;
    u16 *dst = (u16 *)to + ((i64)t * heads + head) * dh + c * 8;
    u32x4 w = *(const u32x4 *)(tile + att_at<DP>(r, c));
    if (pad[t] < 0) w = u32x4{0, 0, 0, 0};
    if (dh % 8 == 0) {
      *(u32x4 *)dst = w;
    } else {
      u32 words[4] = {w.x, w.y, w.z, w.w};
      for (int j = 0; j < 8; j++) if (c * 8 + j < dh) dst[j] = (u16)(words[j / 2] >> 16 * (j % 2));
    }
  }
}
