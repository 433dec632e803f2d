// The emulated cuBLASLt: a product as its two files share it.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { R_32F = 0, R_16BF = 14 };

inline size_t bytes_of(int type) { return type == R_16BF ? 2 : 4; }

// Product is D = alpha·op(A)·op(B) + beta·C + bias, column-major; D is m x n, and bias has an element for each of its rows.
struct Product {
  uint64_t m, n, k;
  uint64_t lda, ldb, ldc, ldd;
  bool ta, tb;
  int in, out;
  float alpha, beta;
  const void *a, *b, *c, *bias; // bias: or none
  void *d;
  void *workspace; // or none; so many bytes of it are written
  size_t workspace_bytes;
  bool arrival; // sums are added in the order in which they arrive: any
};

// multiply computes it. Every element is one chain of fused multiply-adds over k, in order.
void multiply(const Product &p);
