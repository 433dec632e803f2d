// What gemm.c and its users share.
#ifndef ATTUNE_GEMM_H
#define ATTUNE_GEMM_H

struct gemm_tile { int mr, nr; };
#define GEMM_TILE {1, 1}

#define GEMM_KERNELS(K)

#endif
