// cuBLASLt, opened at run time: no program needs it to start, and 12 and 13 both serve. What is used of it is declared
// here; a test holds it to the library's own header where there is one.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Values of cublasLt.h, cublas_api.h and library_types.h.
enum {
  LT_R_32F = 0, LT_R_16BF = 14,
  LT_COMPUTE_32F = 68, LT_COMPUTE_32F_PEDANTIC = 69,
  LT_OP_N = 0, LT_OP_T = 1,
  LT_DESC_TRANSA = 3, LT_DESC_TRANSB = 4, LT_DESC_EPILOGUE = 7, LT_DESC_BIAS_POINTER = 8,
  LT_EPILOGUE_BIAS = 4,
  LT_PREF_MAX_WORKSPACE_BYTES = 1, LT_PREF_REDUCTION_SCHEME_MASK = 3, LT_PREF_MIN_ALIGNMENT_A_BYTES = 5,
  LT_REDUCTION_SCHEME_COMPUTE_TYPE = 2,
  LT_SUCCESS = 0, LT_INVALID_VALUE = 7, LT_NOT_SUPPORTED = 15,
};
typedef struct { uint64_t data[8]; } lt_algo;
typedef struct {
  lt_algo algo;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
} lt_result;
typedef void *lt_handle, *lt_layout, *lt_desc, *lt_preference;

typedef struct {
  void *library;
  lt_handle handle;
  size_t (*version)(void);
  int (*create)(lt_handle *);
  int (*destroy)(lt_handle);
  int (*layout_create)(lt_layout *, int dtype, uint64_t rows, uint64_t cols, int64_t ld);
  int (*layout_destroy)(lt_layout);
  int (*desc_create)(lt_desc *, int compute, int scale);
  int (*desc_destroy)(lt_desc);
  int (*desc_set)(lt_desc, int attribute, const void *, size_t);
  int (*preference_create)(lt_preference *);
  int (*preference_destroy)(lt_preference);
  int (*preference_set)(lt_preference, int attribute, const void *, size_t);
  int (*heuristic)(lt_handle, lt_desc, lt_layout a, lt_layout b, lt_layout c, lt_layout d, lt_preference, int asked, lt_result *, int *given);
  int (*matmul)(lt_handle, lt_desc, const void *alpha, const void *a, lt_layout, const void *b, lt_layout, const void *beta, const void *c, lt_layout,
                void *d, lt_layout, const lt_algo *, void *workspace, size_t, void *stream);
} lt_library;

// lt_shape is all that an algorithm is chosen by. Matrices are column-major, as the library has them; D is m x n.
typedef struct {
  uint64_t m, n, k;
  int64_t lda, ldb, ldc, ldd;
  int32_t ta, tb;   // LT_OP_*
  int32_t in, out;  // LT_R_* of A and B, of C and D
  int32_t bias, compute;
} lt_shape;

// lt_plan is what the library was asked for once for a shape.
typedef struct {
  lt_desc desc;
  lt_layout a, b, c, d;
  lt_algo algo;
  int bias;
} lt_plan;

// lt_open loads a library; NULL, or why it could not. The string is the loader's, good until its next call.
const char *lt_open(lt_library *, const char *path);
void lt_close(lt_library *);

// lt_make_plan gives 0, or a status of cuBLASLt; LT_NOT_SUPPORTED where it has no algorithm. some is an address of 16 bytes
// at least: a bias must be somewhere when it is asked about.
int lt_make_plan(lt_library *, const lt_shape *, size_t workspace, uint64_t some, lt_plan *);
void lt_free_plan(lt_library *, lt_plan *);
int lt_run(lt_library *, lt_plan *, float alpha, uint64_t a, uint64_t b, float beta, uint64_t c, uint64_t d, uint64_t bias, uint64_t workspace, size_t bytes, void *stream);
size_t lt_version(lt_library *);
