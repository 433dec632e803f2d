//go:build gpu

package cuda

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ltNames are the numbers of lt.h by their names in the library's headers.
var ltNames = map[string]string{
	"LT_R_32F": "CUDA_R_32F", "LT_R_16BF": "CUDA_R_16BF",
	"LT_COMPUTE_32F": "CUBLAS_COMPUTE_32F", "LT_COMPUTE_32F_PEDANTIC": "CUBLAS_COMPUTE_32F_PEDANTIC",
	"LT_OP_N": "CUBLAS_OP_N", "LT_OP_T": "CUBLAS_OP_T",
	"LT_DESC_TRANSA": "CUBLASLT_MATMUL_DESC_TRANSA", "LT_DESC_TRANSB": "CUBLASLT_MATMUL_DESC_TRANSB",
	"LT_DESC_EPILOGUE": "CUBLASLT_MATMUL_DESC_EPILOGUE", "LT_DESC_BIAS_POINTER": "CUBLASLT_MATMUL_DESC_BIAS_POINTER",
	"LT_EPILOGUE_BIAS":                  "CUBLASLT_EPILOGUE_BIAS",
	"LT_PREF_MAX_WORKSPACE_BYTES":       "CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES",
	"LT_PREF_REDUCTION_SCHEME_MASK":     "CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK",
	"LT_PREF_MIN_ALIGNMENT_A_BYTES":     "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES",
	"LT_PREF_MIN_ALIGNMENT_A_BYTES + 1": "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES",
	"LT_PREF_MIN_ALIGNMENT_A_BYTES + 2": "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES",
	"LT_PREF_MIN_ALIGNMENT_A_BYTES + 3": "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES",
	"LT_REDUCTION_SCHEME_COMPUTE_TYPE":  "CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE",
	"LT_SUCCESS":                        "CUBLAS_STATUS_SUCCESS",
	"LT_INVALID_VALUE":                  "CUBLAS_STATUS_INVALID_VALUE",
	"LT_NOT_SUPPORTED":                  "CUBLAS_STATUS_NOT_SUPPORTED",
}

// crt stands for the header of nvcc's that the library's reach for; only words for compilers of device code are in it.
const crt = `#define __device_builtin__
#define __cudart_builtin__
#define __device_builtin_surface_type__
#define __device_builtin_texture_type__
#define __host__
#define __device__
#define __forceinline__ inline
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)
#define __location__(a)
#define CUDARTAPI
`

// What lt.h declares of cuBLASLt is what the library's own header says: numbers, sizes, offsets and the number of arguments.
func TestDeclarationsAreTheLibrarys(t *testing.T) {
	python := os.Getenv("ATTUNE_TEST_PYTHON")
	if python == "" {
		t.Skip("needs cublasLt.h of a Python environment with torch, named by ATTUNE_TEST_PYTHON")
	}
	headers, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(python)), "lib/python*/site-packages/nvidia/*/include/cublasLt.h"))
	if err != nil || len(headers) == 0 {
		t.Fatalf("no cublasLt.h beside %s (%v)", python, err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var c strings.Builder
	c.WriteString("#include <stddef.h>\n#include <cublasLt.h>\n#include \"" + filepath.Join(here, "lt.h") + "\"\n")
	for ours, theirs := range ltNames {
		c.WriteString("_Static_assert((int)(" + ours + ") == (int)" + theirs + ", \"" + theirs + "\");\n")
	}
	c.WriteString(`_Static_assert(sizeof(lt_algo) == sizeof(cublasLtMatmulAlgo_t), "algo");
_Static_assert(sizeof(lt_result) == sizeof(cublasLtMatmulHeuristicResult_t), "result");
_Static_assert(offsetof(lt_result, workspace) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize), "workspace");
_Static_assert(offsetof(lt_result, state) == offsetof(cublasLtMatmulHeuristicResult_t, state), "state");
_Static_assert(sizeof(cudaDataType) == sizeof(int) && sizeof(cublasComputeType_t) == sizeof(int) && sizeof(cublasStatus_t) == sizeof(int), "enums");
// Pointers of other types, enums and integers of a size are handed over alike; the compiler holds the rest of a call to the
// prototype.
void calls(lt_library *l) {
  lt_desc d = 0; lt_layout y = 0; lt_preference p = 0; lt_handle h = 0; lt_result r; int n; float f = 0; void *v = 0;
  l->layout_create(&y, 0, 1ull, 1ull, 1ll), cublasLtMatrixLayoutCreate((cublasLtMatrixLayout_t *)&y, 0, 1ull, 1ull, 1ll);
  l->desc_create(&d, 68, 0), cublasLtMatmulDescCreate((cublasLtMatmulDesc_t *)&d, 68, 0);
  l->desc_set(d, 7, v, 4), cublasLtMatmulDescSetAttribute(d, 7, v, 4);
  l->preference_create(&p), cublasLtMatmulPreferenceCreate((cublasLtMatmulPreference_t *)&p);
  l->preference_set(p, 1, v, 8), cublasLtMatmulPreferenceSetAttribute(p, 1, v, 8);
  l->heuristic(h, d, y, y, y, y, p, 1, &r, &n), cublasLtMatmulAlgoGetHeuristic(h, d, y, y, y, y, p, 1, (cublasLtMatmulHeuristicResult_t *)&r, &n);
  l->matmul(h, d, &f, v, y, v, y, &f, v, y, v, y, &r.algo, v, 0, v), cublasLtMatmul(h, d, &f, v, y, v, y, &f, v, y, v, y, (const cublasLtMatmulAlgo_t *)&r.algo, v, 0, v);
}
`)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "crt"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"lt.c": c.String(), "crt/host_defines.h": crt} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("gcc", "-std=gnu11", "-Wall", "-Wno-unused-value", "-fsyntax-only", "-I", filepath.Dir(headers[0]), "-I", dir, filepath.Join(dir, "lt.c")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
