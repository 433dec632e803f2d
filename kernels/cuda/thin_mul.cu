// The kernels of thin_mul.cuh.
#include "thin_mul.cuh"

// hot
KERNEL(thin_mul_t_16, thin_mul_args, 128, 4) { thin_mul<16, true>(args, (i32)blockIdx.x); }
KERNEL(thin_mul_t_32, thin_mul_args, 128, 3) { thin_mul<32, true>(args, (i32)blockIdx.x); }
KERNEL(thin_mul_t_64, thin_mul_args, 128, 2) { thin_mul<64, true>(args, (i32)blockIdx.x); }
KERNEL(thin_mul_t_128, thin_mul_args, 128, 2) { thin_mul<128, true>(args, (i32)blockIdx.x); }
KERNEL(thin_mul_n_16, thin_mul_args, 128, 4) { thin_mul<16, false>(args, (i32)blockIdx.x); }
KERNEL(thin_mul_n_32, thin_mul_args, 128, 3) { thin_mul<32, false>(args, (i32)blockIdx.x); }
KERNEL(thin_mul_n_64, thin_mul_args, 128, 2) { thin_mul<64, false>(args, (i32)blockIdx.x); }
KERNEL(thin_mul_n_128, thin_mul_args, 128, 2) { thin_mul<128, false>(args, (i32)blockIdx.x); }
