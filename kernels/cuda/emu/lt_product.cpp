// The emulated cuBLASLt: the product itself, 16 x 6 elements of D at a time.
#include "lt.h"

#include <immintrin.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <vector>

static const uint64_t rows = 16, cols = 6, wide = 16 * cols, piece = 128;

static float wide_of(float f) { return f; }
static float wide_of(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static float load(const void *p, int type, uint64_t i) { return type == R_16BF ? wide_of(((const uint16_t *)p)[i]) : ((const float *)p)[i]; }

static void store(void *p, int type, uint64_t i, float f) {
  if (type == R_32F) {
    ((float *)p)[i] = f;
    return;
  }
  uint32_t u;
  memcpy(&u, &f, 4);
  ((uint16_t *)p)[i] = (u & 0x7fffffffu) > 0x7f800000u ? 0x7fff : (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

// pack writes lines at to at+many of a matrix, k elements each, side by side: to[k][many]. Line l, element i is at l + i*ld,
// or at i + l*ld where it is across. Lines from most on are 0.
template <uint64_t many, class T> static void pack(float *to, const T *from, uint64_t ld, bool across, uint64_t at, uint64_t most, uint64_t k) {
  uint64_t n = std::min(many, most > at ? most - at : 0);
  if (n < many) memset(to, 0, k * many * sizeof *to);
  if (across) {
    for (uint64_t l = 0; l < n; l++)
      for (uint64_t i = 0; i < k; i++) to[i * many + l] = wide_of(from[i + (at + l) * ld]);
  } else if (n == many) {
    for (uint64_t i = 0; i < k; i++)
      for (uint64_t l = 0; l < many; l++) to[i * many + l] = wide_of(from[at + l + i * ld]);
  } else {
    for (uint64_t i = 0; i < k; i++)
      for (uint64_t l = 0; l < n; l++) to[i * many + l] = wide_of(from[at + l + i * ld]);
  }
}
template <uint64_t many> static void pack(float *to, const void *from, int type, uint64_t ld, bool across, uint64_t at, uint64_t most, uint64_t k) {
  if (type == R_16BF) pack<many>(to, (const uint16_t *)from, ld, across, at, most, k);
  else pack<many>(to, (const float *)from, ld, across, at, most, k);
}

// tile adds k products to the sums of 16 x 6 elements.
static void tile(float *sums, const float *a, const float *b, uint64_t k) {
  __m256 lo[cols], hi[cols];
  for (uint64_t j = 0; j < cols; j++) lo[j] = _mm256_loadu_ps(sums + j * rows), hi[j] = _mm256_loadu_ps(sums + j * rows + 8);
  for (uint64_t i = 0; i < k; i++, a += rows, b += cols) {
    __m256 x = _mm256_loadu_ps(a), y = _mm256_loadu_ps(a + 8);
    for (uint64_t j = 0; j < cols; j++) {
      __m256 v = _mm256_broadcast_ss(b + j);
      lo[j] = _mm256_fmadd_ps(x, v, lo[j]);
      hi[j] = _mm256_fmadd_ps(y, v, hi[j]);
    }
  }
  for (uint64_t j = 0; j < cols; j++) _mm256_storeu_ps(sums + j * rows, lo[j]), _mm256_storeu_ps(sums + j * rows + 8, hi[j]);
}

void multiply(const Product &p) {
  static std::atomic<uint64_t> arrivals;
  if (p.workspace) memset(p.workspace, 0xa5, p.workspace_bytes);
  uint64_t pieces = (p.k + piece - 1) / piece, first = p.arrival && pieces ? arrivals++ % pieces : 0;
  std::vector<float> a(rows * p.k), b(wide * p.k);
  for (uint64_t n0 = 0; n0 < p.n; n0 += wide) {
    uint64_t tiles = (std::min(wide, p.n - n0) + cols - 1) / cols;
    for (uint64_t t = 0; t < tiles; t++) pack<cols>(&b[t * cols * p.k], p.b, p.in, p.ldb, !p.tb, n0 + t * cols, p.n, p.k);
    for (uint64_t m0 = 0; m0 < p.m; m0 += rows) {
      pack<rows>(a.data(), p.a, p.in, p.lda, p.ta, m0, p.m, p.k);
      for (uint64_t t = 0; t < tiles; t++) {
        float sums[rows * cols] = {0};
        for (uint64_t i = 0; i < pieces; i++) {
          uint64_t k0 = (i + first) % pieces * piece;
          tile(sums, &a[k0 * rows], &b[t * cols * p.k + k0 * cols], std::min(piece, p.k - k0));
        }
        for (uint64_t j = 0; j < cols && n0 + t * cols + j < p.n; j++)
          for (uint64_t i = 0; i < rows && m0 + i < p.m; i++) {
            uint64_t col = n0 + t * cols + j, row = m0 + i;
            float v = p.alpha * sums[j * rows + i];
            if (p.beta != 0) v = v + p.beta * load(p.c, p.out, row + col * p.ldc);
            if (p.bias) v = v + load(p.bias, p.out, row);
            store(p.d, p.out, row + col * p.ldd, v);
          }
      }
    }
  }
}
