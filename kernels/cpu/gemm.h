// Matrix products: what gemm.c and linear_cross_entropy.c take.
#ifndef ATTUNE_GEMM_H
#define ATTUNE_GEMM_H

// A matrix read by packing: element (lane, k) is data[lane*ls + k*ks]. Lanes are the rows of A and the columns of B,
// k runs along the sum.
struct gemm_operand {
    const void *data;
    int64_t ls, ks;
    int64_t lanes;
    int dtype;
};

// Dropout by kernels.Uniform: element i of row t survives where its 24 random bits are >= threshold, times keep.
struct gemm_drop {
    const int32_t *keys; // by row; NULL = no dropout
    uint32_t salt;
    uint32_t threshold; // ceil(Dropout * 2^24)
    float keep;         // what survivors are multiplied by
};

// Packs panels of width lanes: panel p holds, for each k word, lanes p*width.. (zeros beyond the last lane), and is
// words(k)*width words long. A word is one float32, or in the set with bfloat16 dot products and with bf16 set, two
// neighbours along k; bf16 set in the other sets gives float32 values rounded to bfloat16.
// Items: panels.
struct gemm_pack_args {
    struct gemm_operand src;
    int64_t k;
    int width, bf16;
    uint32_t *dst; // of panel lo
};

// C (M,N) = alpha * (scale * undrop(thin_a thin_b) + A B) + bias, or C += alpha * ..., rounded once.
// a and thin_a are packed, in panels of width rows of C, of which m0..m1-1 are computed. b and thin_b come packed or are
// packed as they are needed, into mem.
// Items: panels of B of gemm_tile.nr columns (gemm_tile.nr/2 where n is no more than that).
struct gemm_args {
    const uint32_t *a; // from panel first_a on
    int64_t first_a;
    struct gemm_operand b;
    const uint32_t *packed_b; // instead of b, from panel first_b on; NULL = none
    int64_t first_b;
    int64_t k;
    const uint32_t *thin_a; // from panel 0 on; NULL = none
    struct gemm_operand thin_b;
    const uint32_t *packed_thin_b; // instead of thin_b, from panel 0 on; NULL = none
    int64_t thin_k;
    float scale;
    struct gemm_drop undrop; // by rows of C
    int64_t m, n, m0, m1;
    int width, bf16;
    struct gemm_drop drop; // of B: its k is the row, its lane the element
    float alpha;
    const void *bias; // NULL = none; by columns
    int bias_dtype;
    void *c;
    int64_t crs, ccs; // strides of C in elements
    int c_dtype, accumulate;
    void *mem; // gemm_memory() bytes, of this worker alone
};

// dst (hi-lo, k) float32 = drop(x). Items: rows; dst is of row lo.
struct gemm_dropped_args {
    const void *x;
    int dtype;
    int64_t k;
    struct gemm_drop drop;
    float *dst;
};

// C (rank, lanes) = alpha Pᵀ drop(X), where P is (k, rank) float32 and X has its lanes as neighbours: the gradients of
// LoRA's matrices, which are too thin for the tiles of gemm. With bf16 set, P and drop(X) are rounded to bfloat16.
// Items: blocks of THIN_COLUMNS lanes.
struct gemm_thin_args {
    const float *p;
    int64_t rank; // THIN_RANK at most
    struct gemm_operand x;
    int64_t k;
    struct gemm_drop drop; // its k is the row
    int bf16;
    float alpha;
    float *c;
    int64_t crs, ccs; // strides of C in elements
    void *mem;        // as gemm_args.mem
};

enum { THIN_COLUMNS = 96, THIN_RANK = 256 };

// y[lane] = sum over k of x[lane, k]: columns sums, k in order in float32 blocks added in double. Items: lanes.
struct gemm_sum_args {
    struct gemm_operand x;
    int64_t k;
    float *y;
};

#define GEMM_KERNELS(K) K(gemm_pack) K(gemm) K(gemm_dropped) K(gemm_thin) K(gemm_sum)

// The shape of the computation in each set: vectors of GEMM_VECTOR_BYTES, tiles of GEMM_MR rows and two vectors,
// GEMM_PAIR elements in a word of bfloat16; GEMM_KC words between two visits to C, GEMM_STRIP columns of B packed at a
// time (1 MiB of them at most, so that the usual lengths leave room in a second-level cache of 1 or 2 MiB). C is summed outside of C where the sum is longer
// than GEMM_KC: then one call takes up to GEMM_ROWS rows. The thin product's sum is up to GEMM_THIN * GEMM_STRIP / columns
// of a panel.
#ifndef GEMM_VECTOR_BYTES
#define GEMM_VECTOR_BYTES 16
#define GEMM_MR 4
#endif
#ifndef GEMM_PAIR
#define GEMM_PAIR 1
#endif
#define GEMM_KC 2048
#define GEMM_STRIP 128
#define GEMM_ROWS 512
#define GEMM_THIN 256

// What the Go side plans with.
struct gemm_tile {
    int mr, nr;
    int pair;
    int kc, strip, rows, thin;
    int64_t memory; // bytes of gemm_args.mem
};

#define GEMM_TILE                                                                            \
    {GEMM_MR, GEMM_VECTOR_BYTES / 2, GEMM_PAIR, GEMM_KC, GEMM_STRIP, GEMM_ROWS, GEMM_THIN,   \
     (int64_t)(GEMM_KC + GEMM_THIN + GEMM_ROWS) * GEMM_STRIP * 4}

#endif
