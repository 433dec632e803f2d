// What the lanes of a warp do together: shuffles, votes, loads of matrices and their products.
#include "core.h"

namespace emu {

void perform_barrier(Warp &w, u32 lanes);

struct Shuffle {
  u64 value, result;
  u32 how;
  int32_t by;
  u32 width;
};

static void shuffle(Warp &w, u32 lanes) {
  for (u32 left = lanes; left; left &= left - 1) {
    u32 lane = (u32)__builtin_ctz(left);
    Shuffle &s = *(Shuffle *)w.lanes[lane].arg;
    u32 first = lane & ~(s.width - 1), from = lane;
    switch (s.how) {
    case EMU_SHFL_AT: from = first + ((u32)s.by & (s.width - 1)); break;
    case EMU_SHFL_XOR: from = (lane ^ (u32)s.by) < first + s.width ? lane ^ (u32)s.by : lane; break;
    }
    if (!(lanes >> from & 1)) fail("lane %u shuffles from lane %u, which is not there, at %s", lane, from, where(w.lanes[lane].site).c_str());
    s.result = ((Shuffle *)w.lanes[from].arg)->value;
  }
}

struct Vote {
  bool yes;
  u32 result;
};

static void vote(Warp &w, u32 lanes) {
  u32 ballot = 0;
  for (u32 left = lanes; left; left &= left - 1) {
    u32 lane = (u32)__builtin_ctz(left);
    ballot |= (u32)((Vote *)w.lanes[lane].arg)->yes << lane;
  }
  for (u32 left = lanes; left; left &= left - 1) ((Vote *)w.lanes[__builtin_ctz(left)].arg)->result = ballot;
}

struct Ldmatrix {
  u32 *r;
  int matrices;
  bool trans;
  const u8 *row;
};

static void ldmatrix(Warp &w) {
  const Ldmatrix *a[32];
  for (int l = 0; l < 32; l++) a[l] = (Ldmatrix *)w.lanes[l].arg;
  for (int m = 0; m < a[0]->matrices; m++) {
    u16 e[8][8];
    for (int i = 0; i < 8; i++) {
      const u8 *row = a[m * 8 + i]->row;
      if ((uintptr_t)row % 16 || !in_shared(row, 16))
        fail("ldmatrix: lane %d gives %p, which is not 16 aligned bytes of shared memory, at %s", m * 8 + i, row, where(w.lanes[0].site).c_str());
      memcpy(e[i], row, 16);
    }
    for (int l = 0; l < 32; l++) {
      int i = l / 4, j = 2 * (l % 4);
      a[l]->r[m] = a[l]->trans ? (u32)e[j][i] | (u32)e[j + 1][i] << 16 : (u32)e[i][j] | (u32)e[i][j + 1] << 16;
    }
  }
}

struct Mma {
  float (*d)[4];
  const u32 *a;
  const u32 (*b)[2];
  int n;
};

static inline float low(u32 w) { float f; w <<= 16; memcpy(&f, &w, 4); return f; }
static inline float high(u32 w) { float f; w &= 0xffff0000u; memcpy(&f, &w, 4); return f; }

// One product after the other, each sum in the order of k.
static void mma(Warp &w) {
  const Mma *arg[32];
  for (int l = 0; l < 32; l++) arg[l] = (Mma *)w.lanes[l].arg;
  float a[16][16], b[16][8], d[16][8]; // a[k][row], so that a row of d is multiplied by one number
  for (int l = 0; l < 32; l++) {
    int g = l / 4, t = 2 * (l % 4);
    const u32 *r = arg[l]->a;
    for (int h = 0; h < 2; h++) {
      a[t + 8 * h][g] = low(r[2 * h]);
      a[t + 8 * h + 1][g] = high(r[2 * h]);
      a[t + 8 * h][g + 8] = low(r[2 * h + 1]);
      a[t + 8 * h + 1][g + 8] = high(r[2 * h + 1]);
    }
  }
  for (int n = 0; n < arg[0]->n; n++) {
    for (int l = 0; l < 32; l++) {
      int g = l / 4, t = 2 * (l % 4);
      const u32 *r = arg[l]->b[n];
      const float *c = arg[l]->d[n];
      b[t][g] = low(r[0]);
      b[t + 1][g] = high(r[0]);
      b[t + 8][g] = low(r[1]);
      b[t + 9][g] = high(r[1]);
      d[g][t] = c[0];
      d[g][t + 1] = c[1];
      d[g + 8][t] = c[2];
      d[g + 8][t + 1] = c[3];
    }
    for (int i = 0; i < 16; i++) {
      float s[8];
      memcpy(s, d[i], sizeof s);
      for (int k = 0; k < 16; k++)
        for (int j = 0; j < 8; j++) s[j] = __builtin_fmaf(a[k][i], b[k][j], s[j]);
      memcpy(d[i], s, sizeof s);
    }
    for (int l = 0; l < 32; l++) {
      int g = l / 4, t = 2 * (l % 4);
      float *c = arg[l]->d[n];
      c[0] = d[g][t];
      c[1] = d[g][t + 1];
      c[2] = d[g + 8][t];
      c[3] = d[g + 8][t + 1];
    }
  }
}

void perform(Warp &w, Op op, u32 lanes) {
  switch (op) {
  case Op::vote: return vote(w, lanes);
  case Op::shuffle: return shuffle(w, lanes);
  case Op::ldmatrix: return ldmatrix(w);
  case Op::mma: return mma(w);
  case Op::barrier: return perform_barrier(w, lanes);
  case Op::wgmma:
  case Op::wgmma_fence:
  case Op::wgmma_commit:
  case Op::wgmma_wait: return perform_wgmma(w, op);
  case Op::none:
  case Op::mbarrier:
  case Op::syncwarp: return;
  }
}

} // namespace emu

using namespace emu;

extern "C" {

u32 emu_vote(u32 mask, bool yes) {
  Vote v = {yes, 0};
  meet(Op::vote, mask, &v, __builtin_return_address(0));
  return v.result;
}

u64 emu_shfl(u32 mask, u64 value, u32 how, int32_t by, u32 width) {
  Shuffle s = {value, 0, how, by, width};
  meet(Op::shuffle, mask, &s, __builtin_return_address(0));
  return s.result;
}

void emu_ldmatrix(u32 *r, int32_t matrices, bool trans, const void *row) {
  Ldmatrix a = {r, matrices, trans, (const u8 *)row};
  meet(Op::ldmatrix, ~0u, &a, __builtin_return_address(0));
}

void emu_mma_bf16(float (*d)[4], const u32 *a, const u32 (*b)[2], int32_t n) {
  Mma m = {d, a, b, n};
  meet(Op::mma, ~0u, &m, __builtin_return_address(0));
}
}
