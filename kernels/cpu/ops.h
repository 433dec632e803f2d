// Arguments of the kernels other than the matrix products, one struct and one line of OP_KERNELS each.
#ifndef ATTUNE_OPS_H
#define ATTUNE_OPS_H

#define OP_KERNELS(K)

#endif
