// Checks of the emulated cuBLASLt: products against plain loops, and what it refuses.
#include "faces_test.h"

static Any library;
template <class R, class... A> static R lt(const char *name, A... a) { return ((R(*)(A...))dlsym(library, name))(a...); }

struct Case { int m, n, k, lda, ldb, ldc; int ta, tb, in, out; float alpha, beta; bool bias; };

static float get(const std::vector<uint8_t> &v, int type, size_t i) {
  float f;
  uint32_t u;
  if (type == 0) return memcpy(&f, &v[4 * i], 4), f;
  u = (uint32_t)(v[2 * i] | v[2 * i + 1] << 8) << 16;
  return memcpy(&f, &u, 4), f;
}

static Ptr numbers(std::vector<uint8_t> &v, int type, size_t n, uint32_t seed) {
  v.resize(n * (type ? 2 : 4));
  for (size_t i = 0; i < n; i++) {
    seed = seed * 1664525 + 1013904223;
    float f = (float)((int32_t)seed >> 16) / 32768;
    uint32_t u;
    memcpy(&u, &f, 4);
    if (type == 0) memcpy(&v[4 * i], &f, 4);
    else v[2 * i] = (uint8_t)(u >> 16), v[2 * i + 1] = (uint8_t)(u >> 24);
  }
  Ptr p = device(v.size());
  WANT(0, cuMemcpyHtoD_v2(p, v.data(), v.size()))
  return p;
}

struct Plan { Any handle, desc, a, b, c, pref; uint8_t result[96]; int given; };

static int plan(Plan &p, const Case &t, uint32_t align = 16) {
  lt<int>("cublasLtCreate", &p.handle);
  lt<int>("cublasLtMatmulDescCreate", &p.desc, 68, 0);
  int epilogue = t.bias ? 4 : 1;
  uint64_t some = 16, workspace = 1 << 20;
  uint32_t reductions = 2;
  lt<int>("cublasLtMatmulDescSetAttribute", p.desc, 3, (const void *)&t.ta, sizeof t.ta);
  lt<int>("cublasLtMatmulDescSetAttribute", p.desc, 4, (const void *)&t.tb, sizeof t.tb);
  lt<int>("cublasLtMatmulDescSetAttribute", p.desc, 7, (const void *)&epilogue, sizeof epilogue);
  lt<int>("cublasLtMatmulDescSetAttribute", p.desc, 8, (const void *)&some, sizeof some);
  lt<int>("cublasLtMatrixLayoutCreate", &p.a, t.in, (uint64_t)(t.ta ? t.k : t.m), (uint64_t)(t.ta ? t.m : t.k), (int64_t)t.lda);
  lt<int>("cublasLtMatrixLayoutCreate", &p.b, t.in, (uint64_t)(t.tb ? t.n : t.k), (uint64_t)(t.tb ? t.k : t.n), (int64_t)t.ldb);
  lt<int>("cublasLtMatrixLayoutCreate", &p.c, t.out, (uint64_t)t.m, (uint64_t)t.n, (int64_t)t.ldc);
  lt<int>("cublasLtMatmulPreferenceCreate", &p.pref);
  lt<int>("cublasLtMatmulPreferenceSetAttribute", p.pref, 1, (const void *)&workspace, sizeof workspace);
  lt<int>("cublasLtMatmulPreferenceSetAttribute", p.pref, 3, (const void *)&reductions, sizeof reductions);
  for (int i = 5; i <= 8; i++) lt<int>("cublasLtMatmulPreferenceSetAttribute", p.pref, i, (const void *)&align, sizeof align);
  return lt<int>("cublasLtMatmulAlgoGetHeuristic", p.handle, p.desc, p.a, p.b, p.c, p.c, p.pref, 1, (void *)p.result, &p.given);
}

static int multiply(Plan &p, const Case &t, Ptr a, Ptr b, Ptr c, Ptr d, Ptr bias, Ptr workspace, size_t bytes, Any s) {
  lt<int>("cublasLtMatmulDescSetAttribute", p.desc, 8, (const void *)&bias, sizeof bias);
  return lt<int>("cublasLtMatmul", p.handle, p.desc, (const void *)&t.alpha, (void *)a, p.a, (void *)b, p.b, (const void *)&t.beta, (void *)c, p.c, (void *)d, p.c, (void *)p.result,
                 (void *)workspace, bytes, s);
}

void products() {
  open();
  Dl_info me;
  dladdr(dlsym(RTLD_DEFAULT, "cuInit"), &me);
  std::string dir = me.dli_fname;
  dir = dir.substr(0, dir.rfind('/') + 1);
  TRUE((library = dlopen((dir + "libcublasLt.so.13").c_str(), RTLD_NOW)) && lt<size_t>("cublasLtGetVersion") == 130000)
  TRUE((library = dlopen((dir + "libcublasLt.so.12").c_str(), RTLD_NOW)) && lt<size_t>("cublasLtGetVersion") == 120900)
  Any s = stream();
  Ptr workspace = device(1 << 20);
  for (const Case &t : {Case{1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, false}, Case{33, 100, 200, 40, 201, 35, 0, 0, 0, 0, 0.5, 2, true}, Case{17, 7, 130, 130, 7, 17, 1, 1, 14, 14, 1, 1, true},
                        Case{50, 97, 300, 300, 300, 64, 1, 0, 14, 0, 1, 0, false}, Case{20, 13, 64, 20, 13, 20, 0, 1, 14, 14, 2, 0, false}}) {
    std::vector<uint8_t> a, b, c, bias;
    size_t nd = (size_t)t.ldc * (size_t)t.n;
    Ptr pa = numbers(a, t.in, (size_t)(t.lda * (t.ta ? t.m : t.k)), 1), pb = numbers(b, t.in, (size_t)(t.ldb * (t.tb ? t.k : t.n)), 2), pc = numbers(c, t.out, nd, 3),
        pbias = numbers(bias, t.out, (size_t)t.m, 4);
    Plan p;
    WANT(0, plan(p, t))
    WANT(0, multiply(p, t, pa, pb, pc, pc, pbias, workspace, 1 << 20, s))
    std::vector<uint8_t> got(c.size());
    WANT(0, cuStreamSynchronize(s))
    WANT(0, cuMemcpyDtoH_v2(got.data(), pc, got.size()))
    for (int j = 0; j < t.n; j++)
      for (int i = 0; i < t.ldc; i++) {
        size_t at = (size_t)(i + j * t.ldc);
        double want = get(c, t.out, at), sum = 0, of = 0;
        if (i < t.m) {
          for (int k = 0; k < t.k; k++) {
            double x = get(a, t.in, (size_t)(t.ta ? k + i * t.lda : i + k * t.lda)) * (double)get(b, t.in, (size_t)(t.tb ? j + k * t.ldb : k + j * t.ldb));
            sum += x, of += fabs(x);
          }
          want = t.alpha * sum + t.beta * want + (t.bias ? get(bias, t.out, (size_t)i) : 0);
        }
        double off = fabs(want - get(got, t.out, at)), most = i >= t.m ? 0 : 1e-6 * (of + 1) + (t.out == 14 ? fabs(want) / 256 : 0);
        if (!(off <= most)) return (void)(printf("%dx%dx%d: element %d,%d is off by %g of %g\n", t.m, t.n, t.k, i, j, off, want), wrong++);
      }
    if (t.k >= 128) {
      WANT(7, multiply(p, t, pa, pb, pc, pc, pbias, workspace, 0, s))
      WANT(7, multiply(p, t, pa, pb, pc, pc, pbias, pb, 1 << 20, s))
    }
    WANT(7, multiply(p, t, pa + 4, pb, pc, pc, pbias, workspace, 1 << 20, s)) // not at a multiple of 16
    WANT(7, multiply(p, t, pa, pb, pc, pa, pbias, workspace, 1 << 20, s))
    Case other = t;
    other.ldc += 1;
    Plan q;
    WANT(0, plan(q, other))
    memcpy(q.result, p.result, sizeof p.result);
    WANT(7, multiply(q, other, pa, pb, pc, pc, pbias, workspace, 1 << 20, s))
  }
  Plan p;
  WANT(7, plan(p, Case{33, 10, 20, 32, 20, 33, 0, 0, 0, 0, 1, 0, false}))  // columns overlap
  WANT(15, plan(p, Case{33, 10, 20, 33, 20, 33, 0, 0, 0, 14, 1, 0, false})) // float32 to bfloat16
  setenv("ATTUNE_EMU_LT", "refuse-odd", 1);
  WANT(15, plan(p, Case{33, 10, 20, 33, 20, 33, 0, 0, 0, 0, 1, 0, false}))
  TRUE(p.given == 0)
  WANT(0, plan(p, Case{33, 10, 20, 34, 20, 34, 0, 0, 0, 0, 1, 0, false}))
}
