// Arguments of the row-wise parts of linear_cross_entropy; its products are gemm's.
#ifndef ATTUNE_LINEAR_CROSS_ENTROPY_H
#define ATTUNE_LINEAR_CROSS_ENTROPY_H

// Columns of logits that get their own maximum and sum, and that are computed in one piece.
enum { LOGIT_BLOCK = 512 };

// max[row*blocks+block] and sum = Σ exp(z - max) of columns first..first+n-1 of z (rows, vocab); where cap > 0, z is
// replaced by cap tanh(z/cap) before. Items: rows.
struct logit_stats_args {
    float *z;
    float *max, *sum;
    int64_t vocab, first, n, block, blocks;
    float cap;
};

// dst[(row-lo)*ld + j] = weight (exp(z - lse) - (column is the target)) (1 - (z/cap)^2, where cap > 0) for columns
// first..first+n-1. dst may be z itself. Items: rows.
struct logit_grad_args {
    const float *z;
    const float *lse, *weight; // by row
    const int32_t *target;     // by row
    float *dst;
    int64_t vocab, first, n, ld;
    float cap;
};

#define LCE_KERNELS(K) K(logit_stats) K(logit_grad)

#endif
