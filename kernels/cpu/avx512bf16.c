// AVX-512 with bfloat16 dot products, from Cooper Lake and Zen 4 on.
#ifdef __x86_64__
#pragma GCC target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2,prefer-vector-width=512")
#define SUFFIX avx512bf16
#define GEMM_VECTOR_BYTES 64
#define GEMM_MR 14
#define GEMM_PAIR 2
#include <immintrin.h>

#include "isa.h"

#include "bodies.h"

ATTUNE_TABLE
#else
struct attune_isa;
const struct attune_isa *attune_isa_avx512bf16(void) { return 0; }
#endif
