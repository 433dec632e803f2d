// The kernels of thin_sum.cuh.
#include "thin_sum.cuh"

// hot
KERNEL(thin_sum_16, thin_sum_args, 128, 4) { thin_sum<16>(args, (i32)blockIdx.x, (i32)blockIdx.y); }
KERNEL(thin_sum_32, thin_sum_args, 128, 3) { thin_sum<32>(args, (i32)blockIdx.x, (i32)blockIdx.y); }
KERNEL(thin_sum_64, thin_sum_args, 128, 2) { thin_sum<64>(args, (i32)blockIdx.x, (i32)blockIdx.y); }
KERNEL(thin_sum_128, thin_sum_args, 128, 2) { thin_sum<128>(args, (i32)blockIdx.x, (i32)blockIdx.y); }
