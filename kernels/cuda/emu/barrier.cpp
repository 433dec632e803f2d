// Barriers of a block and meetings of lanes: who waits, and when all are here.
#include "core.h"

namespace emu {

const char *name_of(Op op) {
  switch (op) {
  case Op::none: return "nothing";
  case Op::syncwarp: return "__syncwarp";
  case Op::vote: return "a vote";
  case Op::shuffle: return "a shuffle";
  case Op::ldmatrix: return "ldmatrix";
  case Op::mma: return "mma";
  case Op::barrier: return "a barrier";
  case Op::mbarrier: return "an mbarrier";
  case Op::wgmma: return "wgmma";
  case Op::wgmma_fence: return "wgmma_fence";
  case Op::wgmma_commit: return "wgmma_commit";
  case Op::wgmma_wait: return "wgmma_wait";
  }
  return "?";
}

// For these every lane of the warp is needed; others do without lanes that have ended.
static bool whole_warp(Op op) { return op == Op::ldmatrix || op == Op::mma || op >= Op::wgmma; }

struct BarrierArg {
  u32 id, count;
  bool wait;
};

static void finish(Warp &w, u32 lanes) {
  const Thread &a = w.lanes[__builtin_ctz(lanes)];
  for (u32 left = lanes & (lanes - 1); left; left &= left - 1) {
    const Thread &b = w.lanes[__builtin_ctz(left)];
    if (b.op != a.op || b.mask != a.mask || (b.site != a.site && !same_place(a.site, b.site)))
      fail("the warp diverges: lane %u is at %s (lanes %#x) at %s, lane %u at %s (lanes %#x) at %s", a.lane, name_of(a.op), a.mask,
           where(a.site).c_str(), b.lane, name_of(b.op), b.mask, where(b.site).c_str());
  }
  w.waiting &= ~lanes;
  wake(w, lanes);
  if (a.op != Op::syncwarp) perform(w, a.op, lanes);
}

void meet(Op op, u32 mask, void *arg, const void *site) {
  Thread *t = self();
  Warp &w = *t->warp;
  u32 bit = 1u << t->lane;
  if (!(mask & bit)) fail("%s of lanes %#x without the calling one at %s", name_of(op), mask, where(site).c_str());
  t->op = op;
  t->mask = mask;
  t->arg = arg;
  t->site = site;
  w.waiting |= bit;
  block_lanes(w, bit);
  if (whole_warp(op) && (mask & ~w.live()))
    fail("%s with lanes %#x of the warp ended or missing at %s", name_of(op), mask & ~w.live(), where(site).c_str());
  u32 need = mask & w.live();
  if ((w.waiting & need) == need) finish(w, need);
  if (!(w.ready & bit)) leave();
}

static void release(Block &b, Barrier &x) {
  for (u32 left = x.waiting; left; left &= left - 1) {
    Warp &w = b.warp[__builtin_ctz(left)];
    wake(w, w.live());
  }
  x = Barrier();
}

static const u32 every = ~0u;

static u32 live_threads(const Block &b) {
  u32 n = 0;
  for (u32 i = 0; i < b.warps; i++) n += b.warp[i].live() ? 32 : 0;
  return n;
}

void arrive(Warp &w, u32 id, u32 count, bool wait) {
  Block &b = *w.block;
  if (id >= 16) fail("barrier %u; there are 16", id);
  Barrier &x = b.barriers[id];
  u32 expect = count ? count : every;
  if (expect != every && expect % 32) fail("barrier %u of %u threads, which is not a multiple of 32", id, count);
  if (x.count && x.count != expect) fail("barrier %u of %u threads, while others wait at it for %u", id, count, x.count == every ? b.threads : x.count);
  if (x.waiting >> w.index & 1) fail("barrier %u again by a warp that waits at it", id);
  x.count = expect;
  x.arrived += 32;
  if (wait) {
    x.waiting |= 1u << w.index;
    block_lanes(w, w.live());
  }
  u32 full = expect == every ? live_threads(b) : expect;
  if (x.arrived > full) fail("barrier %u of %u threads has %u", id, full, x.arrived);
  if (x.arrived == full) release(b, x);
}

void perform_barrier(Warp &w, u32 lanes) {
  const BarrierArg &a = *(BarrierArg *)w.lanes[__builtin_ctz(lanes)].arg;
  for (u32 left = lanes; left; left &= left - 1) {
    const BarrierArg &o = *(BarrierArg *)w.lanes[__builtin_ctz(left)].arg;
    if (o.id != a.id || o.count != a.count || o.wait != a.wait) fail("lanes of a warp at barriers %u and %u", a.id, o.id);
  }
  arrive(w, a.id, a.count, a.wait);
}

void exit_check(Warp &w) {
  if (w.waiting) {
    const Thread &t = w.lanes[__builtin_ctz(w.waiting)];
    if (whole_warp(t.op)) fail("a lane ends while others of its warp wait for it with %s at %s", name_of(t.op), where(t.site).c_str());
    u32 need = t.mask & w.live();
    if ((w.waiting & need) == need) finish(w, need);
  }
  if (w.live() == 0) {
    Barrier &x = w.block->barriers[0];
    if (x.count == every && x.arrived == live_threads(*w.block)) release(*w.block, x);
  }
}

} // namespace emu

using namespace emu;

extern "C" {

void emu_barrier(u32 id, u32 count, bool wait) {
  BarrierArg a = {id, count, wait};
  // A lane that has ended does not take part; the warp counts whole, as on the GPU.
  meet(Op::barrier, self()->warp->all, &a, __builtin_return_address(0));
}

void emu_syncwarp(u32 mask) { meet(Op::syncwarp, mask & self()->warp->all, nullptr, __builtin_return_address(0)); }

void emu_misaligned(const void *p, u32 size) {
  fail("access of %u bytes at %p, which is not a multiple of it, at %s", size, p, where(__builtin_return_address(0)).c_str());
}
}
