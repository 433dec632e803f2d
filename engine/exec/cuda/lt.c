//go:build gpu

#include "lt.h"

#include <dlfcn.h>
#include <string.h>

const char *lt_open(lt_library *l, const char *path) {
  memset(l, 0, sizeof *l);
  if (!(l->library = dlopen(path, RTLD_NOW | RTLD_LOCAL))) return dlerror();
#define FIND(field, name)                                   \
  if (!(*(void **)&l->field = dlsym(l->library, name))) {   \
    dlclose(l->library);                                    \
    return "it has no " name;                               \
  }
  FIND(version, "cublasLtGetVersion")
  FIND(create, "cublasLtCreate")
  FIND(destroy, "cublasLtDestroy")
  FIND(layout_create, "cublasLtMatrixLayoutCreate")
  FIND(layout_destroy, "cublasLtMatrixLayoutDestroy")
  FIND(desc_create, "cublasLtMatmulDescCreate")
  FIND(desc_destroy, "cublasLtMatmulDescDestroy")
  FIND(desc_set, "cublasLtMatmulDescSetAttribute")
  FIND(preference_create, "cublasLtMatmulPreferenceCreate")
  FIND(preference_destroy, "cublasLtMatmulPreferenceDestroy")
  FIND(preference_set, "cublasLtMatmulPreferenceSetAttribute")
  FIND(heuristic, "cublasLtMatmulAlgoGetHeuristic")
  FIND(matmul, "cublasLtMatmul")
  if (l->create(&l->handle) != LT_SUCCESS) {
    dlclose(l->library);
    return "cublasLtCreate fails on this GPU";
  }
  return NULL;
}

// The library stays loaded: recordings hold kernels of it, and threads that it may have started run its code.
void lt_close(lt_library *l) { l->destroy(l->handle); }

size_t lt_version(lt_library *l) { return l->version(); }

void lt_free_plan(lt_library *l, lt_plan *p) {
  if (p->a) l->layout_destroy(p->a);
  if (p->b) l->layout_destroy(p->b);
  if (p->c) l->layout_destroy(p->c);
  if (p->d) l->layout_destroy(p->d);
  if (p->desc) l->desc_destroy(p->desc);
  memset(p, 0, sizeof *p);
}

#define TRY(call) \
  if ((status = (call)) != LT_SUCCESS) goto end;

int lt_make_plan(lt_library *l, const lt_shape *s, size_t workspace, uint64_t some, lt_plan *p) {
  int status, given = 0;
  lt_preference pref = NULL;
  memset(p, 0, sizeof *p);
  p->bias = s->bias;
  TRY(l->desc_create(&p->desc, s->compute, LT_R_32F))
  TRY(l->desc_set(p->desc, LT_DESC_TRANSA, &s->ta, sizeof s->ta))
  TRY(l->desc_set(p->desc, LT_DESC_TRANSB, &s->tb, sizeof s->tb))
  if (s->bias) {
    int32_t epilogue = LT_EPILOGUE_BIAS;
    TRY(l->desc_set(p->desc, LT_DESC_EPILOGUE, &epilogue, sizeof epilogue))
    TRY(l->desc_set(p->desc, LT_DESC_BIAS_POINTER, &some, sizeof some))
  }
  TRY(l->layout_create(&p->a, s->in, s->ta == LT_OP_N ? s->m : s->k, s->ta == LT_OP_N ? s->k : s->m, s->lda))
  TRY(l->layout_create(&p->b, s->in, s->tb == LT_OP_N ? s->k : s->n, s->tb == LT_OP_N ? s->n : s->k, s->ldb))
  TRY(l->layout_create(&p->c, s->out, s->m, s->n, s->ldc))
  TRY(l->layout_create(&p->d, s->out, s->m, s->n, s->ldd))
  TRY(l->preference_create(&pref))
  uint64_t most = workspace;
  TRY(l->preference_set(pref, LT_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most))
  // Split sums that are added up in the order of their arrival (in place) differ from run to run; those added by a second
  // kernel do not.
  uint32_t reductions = LT_REDUCTION_SCHEME_COMPUTE_TYPE, align = 16;
  TRY(l->preference_set(pref, LT_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions))
  // The alignment that every operand has, not the one that this one happens to have: addresses must choose nothing.
  for (int i = 0; i < 4; i++) TRY(l->preference_set(pref, LT_PREF_MIN_ALIGNMENT_A_BYTES + i, &align, sizeof align))
  lt_result best;
  memset(&best, 0, sizeof best);
  TRY(l->heuristic(l->handle, p->desc, p->a, p->b, p->c, p->d, pref, 1, &best, &given))
  if (given < 1 || best.state != LT_SUCCESS || best.workspace > workspace) status = LT_NOT_SUPPORTED;
  p->algo = best.algo;
end:
  if (pref) l->preference_destroy(pref);
  if (status != LT_SUCCESS) lt_free_plan(l, p);
  return status;
}

int lt_run(lt_library *l, lt_plan *p, float alpha, uint64_t a, uint64_t b, float beta, uint64_t c, uint64_t d, uint64_t bias, uint64_t workspace, size_t bytes, void *stream) {
  if (p->bias) {
    int status = l->desc_set(p->desc, LT_DESC_BIAS_POINTER, &bias, sizeof bias);
    if (status != LT_SUCCESS) return status;
  }
  return l->matmul(l->handle, p->desc, &alpha, (void *)a, p->a, (void *)b, p->b, &beta, (void *)c, p->c, (void *)d, p->d, &p->algo, (void *)workspace, bytes, stream);
}
