// wgmma, warp by warp: a warp makes 16 of the 64 rows of a product. At once, or when the program waits for it; in between the
// accumulators are NaN.
#include "hopper.h"

namespace emu {

struct Call {
  float *d;
  u32 n;
  const u32 *a;
  u64 a_desc, b_desc;
  u32 accumulate, ta, tb, pending;
};

static inline float wide(u16 h) {
  u32 w = (u32)h << 16;
  float f;
  memcpy(&f, &w, 4);
  return f;
}

// read_operand reads 16 of K by count of M or N, from first on, as the matrix descriptor says: out[k][i]. The layouts are
// those that the PTX manual calls canonical, in pieces of 16 bytes; a swizzle exchanges pieces by their address.
static void read_operand(Block &b, u64 desc, bool mn_major, u32 first, u32 count, float *out, u32 ld, const void *site) {
  Hopper &h = *b.hopper;
  u32 start = (u32)(desc & 0x3fff) << 4, lead = (u32)(desc >> 16 & 0x3fff) << 4, stride = (u32)(desc >> 32 & 0x3fff) << 4;
  u32 mode = (u32)(desc >> 62), across = mode == 1 ? 8 : mode == 2 ? 4 : mode == 3 ? 2 : 1; // pieces in a row of the atom
  u32 mask = 16 * (across - 1);
  if (desc >> 49 & 7) fail("wgmma with a base offset in its descriptor at %s", where(site).c_str());
  u32 pieces = count * 2;
  for (u32 p = 0; p < pieces; p++) {
    u32 o, k, i;
    if (mn_major) { // a piece is 8 of M or N for one of K
      k = p % 16;
      i = p / 16 * 8;
      u32 q = (first + i) / 8;
      if (mode == 0) o = start + q * stride + k / 8 * lead + k % 8 * 16;
      else o = start + q / across * lead + q % across * 16 + k / 8 * stride + k % 8 * across * 16;
    } else { // a piece is 8 of K for one of M or N
      k = p % 2 * 8;
      i = p / 2;
      u32 q = first + i;
      o = start + q / 8 * stride + q % 8 * across * 16 + (mode == 0 ? p % 2 * lead : p % 2 * 16);
    }
    o ^= o >> 3 & mask;
    if (o + 16 > b.launch->shared) fail("wgmma reads byte %u of %u bytes of shared memory at %s", o, b.launch->shared, where(site).c_str());
    u16 e[8];
    memcpy(e, b.shared + o, 16);
    if (memcmp(e, h.seen.data() + o, 16) != 0)
      fail("wgmma reads byte %u of shared memory, which was written without fence_async after it, or is being written, at %s", o, where(site).c_str());
    if (mn_major)
      for (u32 j = 0; j < 8; j++) out[k * ld + i + j] = wide(e[j]);
    else
      for (u32 j = 0; j < 8; j++) out[(k + j) * ld + i] = wide(e[j]);
  }
}

static void rows_of(const Accumulator &acc, float *rows, bool store) {
  for (u32 l = 0; l < 32; l++)
    for (u32 i = 0; i < acc.n / 2; i += 2) {
      float *at = rows + (l / 4 + 8 * (i / 2 % 2)) * acc.n + 8 * (i / 4) + 2 * (l % 4), *d = acc.d[l] + i;
      if (store) d[0] = at[0], d[1] = at[1];
      else at[0] = d[0], at[1] = d[1];
    }
}

// multiply is rows (16, n) += a b, each sum in the order of k.
static void multiply(float *rows, u32 n, const float (*a)[16], const float *b) {
  for (u32 j = 0; j < n; j += 16)
    for (u32 i = 0; i < 16; i += 4) {
      float s[4][16];
      for (u32 r = 0; r < 4; r++) memcpy(s[r], rows + (i + r) * n + j, sizeof s[r]);
      for (u32 k = 0; k < 16; k++)
        for (u32 r = 0; r < 4; r++)
          for (u32 c = 0; c < 16; c++) s[r][c] = __builtin_fmaf(a[k][i + r], b[k * n + j + c], s[r][c]);
      for (u32 r = 0; r < 4; r++) memcpy(rows + (i + r) * n + j, s[r], sizeof s[r]);
    }
}

static void run(Block &block, u32 warp, const Product &p, float *rows) {
  float a[16][16]; // a[k][row]
  if (p.registers) {
    for (u32 l = 0; l < 32; l++)
      for (u32 r = 0; r < 4; r++) {
        u32 row = l / 4 + 8 * (r % 2), k = 2 * (l % 4) + 8 * (r / 2);
        a[k][row] = wide((u16)p.regs[l][r]);
        a[k + 1][row] = wide((u16)(p.regs[l][r] >> 16));
      }
  } else {
    read_operand(block, p.a, p.ta, warp % 4 * 16, 16, a[0], 16, p.site);
  }
  float *b = block.hopper->b;
  read_operand(block, p.b, p.tb, 0, p.n, b, p.n, p.site);
  if (!p.accumulate) memset(rows, 0, sizeof(float) * 16 * p.n);
  multiply(rows, p.n, a, b);
}

static Accumulator *under_way(Products &s, const float *d0) {
  for (Accumulator &a : s.accumulators)
    if (a.d[0] == d0) return &a;
  return nullptr;
}

static void start(Warp &w, Products &s) {
  const Call &c = *(Call *)w.lanes[0].arg;
  Product p = {c.n, c.accumulate != 0, c.ta, c.tb, s.group, c.a_desc, c.b_desc, c.a != nullptr, {}, c.d, w.lanes[0].site};
  Accumulator fresh;
  for (u32 l = 0; l < 32; l++) {
    const Call &o = *(Call *)w.lanes[l].arg;
    if (o.n != c.n || o.a_desc != c.a_desc || o.b_desc != c.b_desc || !o.accumulate != !c.accumulate || o.ta != c.ta || o.tb != c.tb || !o.a != !c.a)
      fail("wgmma with other operands in lane %u than in lane 0, at %s", l, where(p.site).c_str());
    fresh.d[l] = o.d;
    if (o.a) memcpy(p.regs[l], o.a, sizeof p.regs[l]);
  }
  for (u64 v : {(u64)p.n, p.registers ? 0 : p.a, p.b, (u64)(p.accumulate | p.ta << 1 | p.tb << 2)}) s.history = (s.history ^ v) * 0x100000001b3ull + 1;
  Block &b = *w.block;
  Accumulator *acc = under_way(s, c.d);
  if (acc && acc->n != p.n) fail("wgmma of %u columns on accumulators of one of %u that is under way, at %s", p.n, acc->n, where(p.site).c_str());
  if (!acc) {
    if (!s.fenced) fail("wgmma without wgmma_fence since its accumulators could be touched, at %s", where(p.site).c_str());
    fresh.n = p.n;
    fresh.pending = 0;
    fresh.rows.resize(16 * p.n);
    rows_of(fresh, fresh.rows.data(), false);
    s.accumulators.push_back(fresh);
    acc = &s.accumulators.back();
  }
  acc->pending++;
  s.queue.push_back(p);
  if (!b.launch->options.async) {
    run(b, w.index, p, acc->rows.data());
    rows_of(*acc, acc->rows.data(), true);
    return;
  }
  for (u32 l = 0; l < 32; l++) memset(acc->d[l], 0xff, sizeof(float) * p.n / 2);
}

// wait ends the products of all groups but the youngest ones.
static void wait(Warp &w, Products &s, u32 pending) {
  if (s.group < pending) return;
  u32 until = s.group - pending;
  bool async = w.block->launch->options.async;
  size_t n = 0;
  for (; n < s.queue.size() && s.queue[n].group < until; n++) {
    const Product &p = s.queue[n];
    Accumulator *acc = under_way(s, p.d0);
    if (async) run(*w.block, w.index, p, acc->rows.data());
    if (--acc->pending) continue;
    if (async) rows_of(*acc, acc->rows.data(), true);
    *acc = s.accumulators.back();
    s.accumulators.pop_back();
  }
  s.queue.erase(s.queue.begin(), s.queue.begin() + (long)n);
  if (n) s.fenced = false;
}

void perform_wgmma(Warp &w, Op op) {
  Products &s = hopper(*w.block).products[w.index];
  switch (op) {
  case Op::wgmma: return start(w, s);
  case Op::wgmma_fence: s.fenced = true; return;
  case Op::wgmma_commit: s.group++; return;
  default: return wait(w, s, ((Call *)w.lanes[0].arg)->pending);
  }
}

void check_hopper_at_exit(Block &b) {
  if (!b.hopper) return;
  Hopper &h = *b.hopper;
  if (!h.loads.empty()) fail("the block ends with %zu loads by TMA that nobody has waited for", h.loads.size());
  for (u32 i = 0; i < b.warps; i++) {
    if (!h.products[i].queue.empty()) fail("warp %u ends with %zu products by wgmma that it has not waited for", i, h.products[i].queue.size());
    if (h.products[i].history != h.products[i & ~3u].history) fail("warps %u and %u of a warpgroup make other products by wgmma", i & ~3u, i);
  }
}

} // namespace emu

using namespace emu;

extern "C" {

void emu_wgmma(float *d, u32 n, const u32 *a, u64 a_desc, u64 b_desc, u32 accumulate, u32 ta, u32 tb) {
  Call c = {d, n, a, a_desc, b_desc, accumulate, ta, tb, 0};
  meet(Op::wgmma, ~0u, &c, __builtin_return_address(0));
}
void emu_wgmma_fence() { meet(Op::wgmma_fence, ~0u, nullptr, __builtin_return_address(0)); }
void emu_wgmma_commit() { meet(Op::wgmma_commit, ~0u, nullptr, __builtin_return_address(0)); }
void emu_wgmma_wait(u32 pending) {
  Call c = {};
  c.pending = pending;
  meet(Op::wgmma_wait, ~0u, &c, __builtin_return_address(0));
}
}
