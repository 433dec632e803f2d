// Arguments of the kernels other than the matrix products, one struct and one line of OP_KERNELS each. Dtypes (F32,
// BF16) are named d and the operand's name.
#ifndef ATTUNE_OPS_H
#define ATTUNE_OPS_H

#include <stdint.h>

enum { SUMSQ_BLOCK = 1 << 16, RMSNORM_BLOCK = 32, ROPE_MAX = 1024 };
enum { ATTENTION_BLOCK = 64 }; // keys a tile of scores is wide
enum { ACT_SILU, ACT_GELU_TANH, ACT_GELU };

struct rows_args {
    const void *x;        // (..., cols)
    const int32_t *index; // (N)
    void *y;              // (N, cols)
    int64_t cols;
    int dx, dy;
};

struct cache_rows_args {
    const void *x;        // (N, cols)
    const int32_t *index; // (N), -1 is skipped
    void *y;              // (S, cols)
    int64_t cols;
    int dx, dy;
};

struct embed_bwd_args {
    const int32_t *ids; // (tokens)
    const void *dy;     // (tokens, cols)
    float *dweight;     // (V, cols)
    int64_t tokens, cols;
    int ddy;
};

struct add_args {
    const void *a, *b;
    void *y;
    int da, db, dy;
};

struct scaleby_args {
    const void *x;
    const float *s;
    void *y;
    int dx, dy;
};

struct sumsq_args {
    const void *x;   // (n)
    double *partial; // one a block
    int64_t n;
    int dx;
};

struct rmsnorm_args {
    const void *x, *weight; // (rows, cols), (cols)
    void *y;                // (rows, cols) or null
    float *rstd;            // (rows) or null
    int64_t cols;
    double eps;
    int dx, dw, dy;
};

struct rmsnorm_bwd_args {
    const void *x, *weight; // (rows, cols), (cols)
    const float *rstd;      // (rows)
    const void *dy;         // (rows, cols)
    void *out;              // dx (rows, cols) or null
    float *partial;         // (blocks, cols) or null
    int64_t rows, cols;
    int dx, dw, ddy, dout;
};

struct colsum_args {
    const float *x; // (rows, cols)
    float *y;       // (cols)
    int64_t rows, cols;
};

struct rope_args {
    const void *x;            // (T, heads, 2*half)
    const int32_t *positions; // (T)
    void *y;
    const double *inv_freq; // (half)
    double scale;
    int64_t heads, half;
    int inverse, dx, dy;
};

struct swiglu_args {
    const void *gate, *up;
    void *h;
    int act, dg, du, dh;
};

struct swiglu_bwd_args {
    const void *gate, *up, *dh;
    void *dgate, *dup; // either may be null
    int act, dg, du, ddh, ddgate, ddup;
};

struct adamw_args {
    const float *param, *grad, *m, *v;
    float *out_param, *out_m, *out_v; // each may be null
    float decay, grad_scale, one_minus_beta1, beta2, one_minus_beta2, sqrt_bias2, eps, step_size;
};

// A piece of attention: queries [q0, q1), whose segment begins at k0. ATTENTION_QUERIES makes what belongs to the queries
// (o and lse, or dq). ATTENTION_KEYS makes dk and dv of keys [kb, k1), the queries being all of the segment's;
// ATTENTION_WHOLE is a segment whose keys are all in the block, and makes dq too.
enum { ATTENTION_QUERIES, ATTENTION_KEYS, ATTENTION_WHOLE };
struct attention_block {
    int32_t q0, q1, k0, k1, kb, part;
};

struct attention_args {
    const void *q, *k, *v;    // (T, heads, dh), (., kv, dh), (., kv, dh)
    void *o;                  // (T, heads, dh) or null
    float *lse;               // (T, heads) or null
    const int32_t *positions; // the last key each query sees, -1 for none; null: the query's own index
    const struct attention_block *blocks;
    float *scratch; // the worker's own
    int64_t heads, kv, dh, window;
    float scale, soft_cap;
    int dq, dk, dv, d_o;
};

struct attention_delta_args {
    const void *o, *dout; // (rows, dh)
    float *delta;         // (rows)
    int64_t dh;
    int d_o, ddout;
};

struct attention_bwd_args {
    const void *q, *k, *v;       // as attention's
    const float *lse, *delta;    // (T, heads)
    const void *dout;            // (T, heads, dh)
    void *out_q, *out_k, *out_v; // the gradients; each may be null
    const struct attention_block *blocks;
    float *scratch; // the worker's own
    int64_t heads, kv, dh, window;
    float scale, soft_cap;
    int dq, dk, dv, ddout, dout_q, dout_k, dout_v;
};

#define OP_KERNELS(K)                                                                                          \
    K(rows) K(embed_bwd) K(add) K(scaleby) K(sumsq) K(rmsnorm) K(rmsnorm_bwd) K(colsum) K(rope) K(swiglu)       \
    K(swiglu_bwd) K(adamw) K(attention) K(attention_delta) K(attention_bwd) K(cache_rows)

#endif
