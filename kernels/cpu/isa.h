// Instruction sets. Every body <op>.c is plain C over isa.h and compiled by itself (the portable set) and again inside
// avx2.c, avx512.c and avx512bf16.c, which allow more instructions and set SUFFIX. FN(name) is the name of a function
// in the set being compiled; struct attune_isa is the set's table, which the Go side calls through ATTUNE_CALL.
//
// A kernel is void name(const struct name_args *a, int64_t lo, int64_t hi): it computes items lo..hi-1 of whatever it
// splits its output into. To add one: its args struct and a line in ops.h, its body in bodies.h.
#ifndef ATTUNE_ISA_H
#define ATTUNE_ISA_H

// No kernel looks at errno or at floating-point exception flags; without this GCC leaves conditionals scalar.
#pragma GCC optimize("no-math-errno", "no-trapping-math")

#include <stdint.h>

#ifndef SUFFIX
#define SUFFIX portable
#endif
#define ATTUNE_CAT2(a, b) a##_##b
#define ATTUNE_CAT(a, b) ATTUNE_CAT2(a, b)
#define FN(name) ATTUNE_CAT(name, SUFFIX)

// Storage dtypes: the values of kernels.Dtype.
enum { F32 = 1, BF16 = 2 };

#include "gemm.h"
#include "linear_cross_entropy.h"
#include "ops.h"

#define ATTUNE_KERNELS(K) GEMM_KERNELS(K) LCE_KERNELS(K) OP_KERNELS(K)

#define ATTUNE_FIELD(name) void (*name)(const struct name##_args *a, int64_t lo, int64_t hi);
#define ATTUNE_PROTOTYPE(name) void FN(name)(const struct name##_args *a, int64_t lo, int64_t hi);
#define ATTUNE_ENTRY(name) .name = FN(name),

struct attune_isa {
    struct gemm_tile tile;
    ATTUNE_KERNELS(ATTUNE_FIELD)
};
ATTUNE_KERNELS(ATTUNE_PROTOTYPE)

// The Go file of a kernel says ATTUNE_CALL(name) in its preamble and calls C.call_name(e.tuned, args, lo, hi).
#define ATTUNE_CALL(name)                                                                                   \
    static inline void call_##name(const struct attune_isa *isa, struct name##_args a, int64_t lo, int64_t hi) { \
        isa->name(&a, lo, hi);                                                                              \
    }

// The tables; NULL where the compiler's target has no such set.
const struct attune_isa *attune_isa_portable(void);
const struct attune_isa *attune_isa_avx2(void);
const struct attune_isa *attune_isa_avx512(void);
const struct attune_isa *attune_isa_avx512bf16(void);

// The last line of a translation unit that makes a set.
#define ATTUNE_TABLE                                                                  \
    const struct attune_isa *FN(attune_isa)(void) {                                   \
        static const struct attune_isa table = {.tile = GEMM_TILE, ATTUNE_KERNELS(ATTUNE_ENTRY)}; \
        return &table;                                                                \
    }

#endif
