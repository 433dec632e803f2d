// The emulated cuBLASLt, libcublasLt.so.12 and .13: the functions that engine/exec/cuda opens, with the refusals of the real
// one. ATTUNE_EMU_LT=refuse-odd has no algorithm for matrices whose rows begin an odd number of elements apart.
#include "lt.h"
#include "faces.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mutex>
#include <set>

#define API extern "C" __attribute__((visibility("default")))

enum Status { OK = 0, NOT_INITIALIZED = 1, INVALID = 7, EXECUTION_FAILED = 13, INTERNAL_ERROR = 14, UNSUPPORTED = 15 };

struct Handle {};
struct Layout { int type; uint64_t rows, cols; int64_t ld; int32_t order = 0, batches = 1; };
struct Desc { int compute, scale; int32_t ta = 0, tb = 0, epilogue = 1, bias_type = -1; uint64_t bias = 0; };
struct Preference { uint64_t workspace = 0; uint32_t reductions = 7, align[4] = {256, 256, 256, 256}; };
// Algo is what stands in a cublasLtMatmulAlgo_t: all that it was chosen by.
struct Algo { uint64_t magic, shape, workspace; uint32_t align[4], reductions, zero[5]; };
struct Result { Algo algo; size_t workspace; int state; float waves; int reserved[4]; };
static_assert(sizeof(Algo) == 64 && sizeof(Result) == 96, "as in cublasLt.h");
static const uint64_t magic = 0x6d68746972676c61ull;

static std::mutex lock;
static std::set<void *> live;
static int handles;

static bool known(const void *p) {
  std::lock_guard<std::mutex> hold(lock);
  return live.count((void *)p) != 0;
}

template <class T> static Status create(T **p, T value) {
  if (!p) return INVALID;
  *p = new T(value);
  std::lock_guard<std::mutex> hold(lock);
  live.insert(*p);
  return OK;
}

template <class T> static Status destroy(T *p) {
  if (!p) return OK;
  std::lock_guard<std::mutex> hold(lock);
  if (!live.erase(p)) return INVALID;
  delete p;
  return OK;
}

__attribute__((format(printf, 2, 3))) static Status wrong(Status s, const char *format, ...) {
  char line[512];
  int n = snprintf(line, sizeof line, "cublasLt: ");
  va_list args;
  va_start(args, format);
  vsnprintf(line + n, sizeof line - (size_t)n, format, args);
  va_end(args);
  emu_complain(line);
  return s;
}

#define BEGIN(name, detail) \
  if (int r = emu_call(name, detail)) return r < 100 ? (Status)r : INTERNAL_ERROR;

#ifndef EMU_LT_VERSION
#define EMU_LT_VERSION 120900
#endif
API size_t cublasLtGetVersion() { return EMU_LT_VERSION; }

API Status cublasLtCreate(Handle **h) {
  BEGIN("cublasLtCreate", "")
  if (Status s = create(h, Handle()); s != OK) return s;
  std::lock_guard<std::mutex> hold(lock);
  handles++;
  return OK;
}

API Status cublasLtDestroy(Handle *h) {
  BEGIN("cublasLtDestroy", "")
  if (Status s = destroy(h); s != OK) return s;
  std::lock_guard<std::mutex> hold(lock);
  if (--handles == 0 && !live.empty() && emu_leaks()) wrong(OK, "%zu layouts, descriptors or preferences are not destroyed", live.size());
  return OK;
}

API Status cublasLtMatrixLayoutCreate(Layout **l, int type, uint64_t rows, uint64_t cols, int64_t ld) { return create(l, Layout{type, rows, cols, ld}); }
API Status cublasLtMatrixLayoutDestroy(Layout *l) { return destroy(l); }
API Status cublasLtMatmulDescCreate(Desc **d, int compute, int scale) { return create(d, Desc{compute, scale}); }
API Status cublasLtMatmulDescDestroy(Desc *d) { return destroy(d); }
API Status cublasLtMatmulPreferenceCreate(Preference **p) { return create(p, Preference()); }
API Status cublasLtMatmulPreferenceDestroy(Preference *p) { return destroy(p); }

template <class T> static Status set(T &field, const void *value, size_t bytes) {
  if (!value || bytes != sizeof field) return wrong(INVALID, "an attribute of %zu bytes is given as %zu", sizeof field, bytes);
  memcpy(&field, value, bytes);
  return OK;
}

API Status cublasLtMatrixLayoutSetAttribute(Layout *l, int attribute, const void *value, size_t bytes) {
  if (!known(l)) return INVALID;
  switch (attribute) {
  case 1: return set(l->order, value, bytes);
  case 4: return set(l->ld, value, bytes);
  case 5: return set(l->batches, value, bytes);
  }
  return wrong(INVALID, "attribute %d of a layout is not in the emulator", attribute);
}

API Status cublasLtMatmulDescSetAttribute(Desc *d, int attribute, const void *value, size_t bytes) {
  if (!known(d)) return INVALID;
  switch (attribute) {
  case 3: return set(d->ta, value, bytes);
  case 4: return set(d->tb, value, bytes);
  case 7: return set(d->epilogue, value, bytes);
  case 8: return set(d->bias, value, bytes);
  case 26: return set(d->bias_type, value, bytes);
  }
  return wrong(INVALID, "attribute %d of a product is not in the emulator", attribute);
}

API Status cublasLtMatmulPreferenceSetAttribute(Preference *p, int attribute, const void *value, size_t bytes) {
  if (!known(p)) return INVALID;
  switch (attribute) {
  case 1: return set(p->workspace, value, bytes);
  case 3: return set(p->reductions, value, bytes);
  case 5: case 6: case 7: case 8: return set(p->align[attribute - 5], value, bytes);
  }
  return wrong(INVALID, "attribute %d of a preference is not in the emulator", attribute);
}

// describe puts together what is asked for, or says what is wrong with it.
static Status describe(const Desc *d, const Layout *a, const Layout *b, const Layout *c, const Layout *out, Product &p) {
  for (const void *x : {(const void *)d, (const void *)a, (const void *)b, (const void *)c, (const void *)out})
    if (!known(x)) return wrong(INVALID, "a layout or descriptor that is not there, or not any more");
  if (d->ta < 0 || d->ta > 1 || d->tb < 0 || d->tb > 1) return wrong(UNSUPPORTED, "transposes %d and %d", d->ta, d->tb);
  p.ta = d->ta, p.tb = d->tb;
  p.m = out->rows, p.n = out->cols, p.k = p.ta ? a->rows : a->cols;
  const Layout *all[] = {a, b, c, out};
  uint64_t want[4][2] = {{p.ta ? p.k : p.m, p.ta ? p.m : p.k}, {p.tb ? p.n : p.k, p.tb ? p.k : p.n}, {p.m, p.n}, {p.m, p.n}};
  for (int i = 0; i < 4; i++) {
    const Layout &l = *all[i];
    if (l.order != 0 || l.batches != 1) return wrong(UNSUPPORTED, "orders other than columns, and batches, are not in the emulator");
    if (l.rows == 0 || l.cols == 0 || l.ld < (int64_t)l.rows)
      return wrong(INVALID, "%c of %zu x %zu, columns %lld elements apart", "ABCD"[i], (size_t)l.rows, (size_t)l.cols, (long long)l.ld);
    if (l.rows != want[i][0] || l.cols != want[i][1])
      return wrong(INVALID, "%c is %zu x %zu in a product of %zu x %zu x %zu", "ABCD"[i], (size_t)l.rows, (size_t)l.cols, (size_t)p.m, (size_t)p.n, (size_t)p.k);
  }
  p.lda = (uint64_t)a->ld, p.ldb = (uint64_t)b->ld, p.ldc = (uint64_t)c->ld, p.ldd = (uint64_t)out->ld;
  p.in = a->type, p.out = out->type;
  bool types = (p.in == R_16BF && (p.out == R_16BF || p.out == R_32F)) || (p.in == R_32F && p.out == R_32F);
  if (!types || b->type != p.in || c->type != p.out || d->scale != R_32F || (d->compute != 68 && d->compute != 69))
    return wrong(UNSUPPORTED, "types %d, %d, %d, %d of A to D, computed as %d with factors of %d", a->type, b->type, c->type, out->type, d->compute, d->scale);
  if (d->epilogue != 1 && d->epilogue != 4) return wrong(UNSUPPORTED, "epilogue %d", d->epilogue);
  if (d->epilogue == 4 && !d->bias) return wrong(INVALID, "a bias that is nowhere");
  if (d->epilogue == 4 && d->bias_type != -1 && d->bias_type != p.out) return wrong(UNSUPPORTED, "a bias of type %d for D of %d", d->bias_type, p.out);
  return OK;
}

// shape_of is one number for all that an algorithm may depend on.
static uint64_t shape_of(const Desc *d, const Product &p) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (uint64_t v : {p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.ldd, (uint64_t)p.ta, (uint64_t)p.tb, (uint64_t)p.in, (uint64_t)p.out, (uint64_t)d->compute, (uint64_t)d->epilogue})
    h = (h ^ v) * 0x100000001b3ull;
  return h;
}

API Status cublasLtMatmulAlgoGetHeuristic(Handle *h, const Desc *d, const Layout *a, const Layout *b, const Layout *c, const Layout *out, const Preference *pref, int asked,
                                          Result *results, int *given) {
  BEGIN("cublasLtMatmulAlgoGetHeuristic", "")
  if (!known(h)) return NOT_INITIALIZED;
  if (!known(pref) || !results || !given || asked < 1) return INVALID;
  *given = 0;
  Product p = {};
  if (Status s = describe(d, a, b, c, out, p); s != OK) return s;
  const char *mode = getenv("ATTUNE_EMU_LT");
  if (mode && strcmp(mode, "refuse-odd") == 0 && ((p.lda | p.ldb | p.ldc | p.ldd) & 1)) return UNSUPPORTED;
  Result r = {};
  r.algo.magic = magic;
  r.algo.shape = shape_of(d, p);
  r.algo.workspace = r.workspace = p.k >= 128 ? std::min<uint64_t>(pref->workspace, 64 << 10) : 0;
  r.algo.reductions = pref->reductions;
  memcpy(r.algo.align, pref->align, sizeof r.algo.align);
  r.waves = 1;
  results[0] = r;
  *given = 1;
  return OK;
}

static bool overlap(uint64_t a, size_t an, uint64_t b, size_t bn) { return a < b + bn && b < a + an; }

// placed holds the operands to the device's memory, to what the algorithm was promised and to each other.
static Status placed(const Product &p, const Algo &algo) {
  struct { uint64_t at; size_t bytes; } o[] = {
    {(uint64_t)p.a, (((p.ta ? p.m : p.k) - 1) * p.lda + (p.ta ? p.k : p.m)) * bytes_of(p.in)},
    {(uint64_t)p.b, (((p.tb ? p.k : p.n) - 1) * p.ldb + (p.tb ? p.n : p.k)) * bytes_of(p.in)},
    {(uint64_t)p.c, ((p.n - 1) * p.ldc + p.m) * bytes_of(p.out)},
    {(uint64_t)p.d, ((p.n - 1) * p.ldd + p.m) * bytes_of(p.out)},
    {(uint64_t)p.bias, p.m * bytes_of(p.out)},
    {(uint64_t)p.workspace, p.workspace_bytes},
  };
  static const char *const names[] = {"A", "B", "C", "D", "the bias", "the workspace"};
  bool used[] = {true, true, p.beta != 0, true, p.bias != nullptr, p.workspace != nullptr};
  uint32_t align[] = {algo.align[0], algo.align[1], algo.align[2], algo.align[3], (uint32_t)bytes_of(p.out), 16};
  for (int i = 0; i < 6; i++) {
    if (!used[i]) continue;
    if (!emu_is_device(o[i].at, o[i].bytes)) return wrong(INVALID, "%s: %zu bytes at %p are not memory of the device", names[i], o[i].bytes, (void *)o[i].at);
    if (align[i] && o[i].at % align[i]) return wrong(INVALID, "%s is at %p; its algorithm was chosen for multiples of %u", names[i], (void *)o[i].at, align[i]);
    bool in_place = i == 2 && p.c == p.d && p.ldc == p.ldd;
    if (i != 3 && !in_place && overlap(o[i].at, o[i].bytes, o[3].at, o[3].bytes)) return wrong(INVALID, "%s overlaps D", names[i]);
    if (i < 5 && used[5] && overlap(o[i].at, o[i].bytes, o[5].at, o[5].bytes)) return wrong(INVALID, "%s overlaps the workspace", names[i]);
  }
  return OK;
}

API Status cublasLtMatmul(Handle *h, const Desc *d, const void *alpha, const void *a, const Layout *la, const void *b, const Layout *lb, const void *beta, const void *c,
                          const Layout *lc, void *out, const Layout *lout, const Algo *algo, void *workspace, size_t workspace_bytes, void *stream) {
  Product p = {};
  if (!known(h)) return NOT_INITIALIZED;
  if (!alpha || !beta) return INVALID;
  Status s = describe(d, la, lb, lc, lout, p);
  char detail[128];
  snprintf(detail, sizeof detail, "%zux%zux%zu %c%c %d>%d", (size_t)p.m, (size_t)p.n, (size_t)p.k, p.ta ? 'T' : 'N', p.tb ? 'T' : 'N', p.in, p.out);
  BEGIN("cublasLtMatmul", detail)
  if (s != OK) return s;
  p.alpha = *(const float *)alpha, p.beta = *(const float *)beta;
  p.a = a, p.b = b, p.c = c, p.d = out;
  p.bias = d->epilogue == 4 ? (const void *)d->bias : nullptr;
  if (!algo || algo->magic != magic) return wrong(INVALID, "a product without an algorithm of the heuristic");
  if (algo->shape != shape_of(d, p)) return wrong(INVALID, "an algorithm that was chosen for another shape");
  if (workspace_bytes < algo->workspace) return wrong(INVALID, "%zu bytes of workspace; the algorithm wants %zu", workspace_bytes, (size_t)algo->workspace);
  if (algo->workspace) p.workspace = workspace, p.workspace_bytes = algo->workspace;
  if (algo->workspace && !workspace) return wrong(INVALID, "a workspace that is nowhere");
  p.arrival = (algo->reductions & 1) && algo->workspace;
  if (Status at = placed(p, *algo); at != OK) return at;
  int r = emu_enqueue(stream, "cublasLtMatmul", [](void *x) { multiply(*(Product *)x); }, new Product(p), [](void *x) { delete (Product *)x; });
  return r == 0 ? OK : EXECUTION_FAILED;
}
