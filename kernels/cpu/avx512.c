// AVX-512 (F, BW, DQ, VL), from Skylake-SP and Zen 4 on.
#ifdef __x86_64__
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2,prefer-vector-width=512")
#define SUFFIX avx512
#define GEMM_VECTOR_BYTES 64
#define GEMM_MR 14
#include "isa.h"

#include "bodies.h"

ATTUNE_TABLE
#else
struct attune_isa;
const struct attune_isa *attune_isa_avx512(void) { return 0; }
#endif
