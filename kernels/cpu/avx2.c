// AVX2 and FMA.
#ifdef __x86_64__
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#define SUFFIX avx2
#define GEMM_VECTOR_BYTES 32
#define GEMM_MR 6
#include "isa.h"

#include "bodies.h"

ATTUNE_TABLE
#else
struct attune_isa;
const struct attune_isa *attune_isa_avx2(void) { return 0; }
#endif
