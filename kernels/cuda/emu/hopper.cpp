// mbarrier and TMA, and the two ways into shared memory. wgmma and TMA see a copy of shared memory that fence_async brings up
// to date: where they read what differs from it, a fence is missing.
#include "hopper.h"

namespace emu {

Hopper &hopper(Block &b) {
  if (b.hopper) return *b.hopper;
  if (b.launch->options.cc < 90) fail("an instruction of sm_90a on compute capability %d", b.launch->options.cc);
  if (!b.worker->hopper) b.worker->hopper = new Hopper;
  b.hopper = b.worker->hopper;
  *b.hopper = Hopper();
  b.hopper->seen.assign(b.launch->shared, 0xff); // as a block finds it
  return *b.hopper;
}

static const u64 marker = 0x3a6d62617272fe00ull; // what an mbarrier holds here

static Mbarrier &barrier_at(Hopper &h, Block &b, const void *p, const void *site) {
  u32 offset = (u32)((const u8 *)p - b.shared);
  for (Mbarrier &m : h.barriers) {
    if (m.offset != offset) continue;
    u64 held;
    memcpy(&held, p, 8);
    if (held != (marker ^ offset)) fail("the mbarrier at byte %u has been written over, at %s", offset, where(site).c_str());
    return m;
  }
  fail("no mbarrier at byte %u of shared memory, at %s", offset, where(site).c_str());
}

static void wake_waiters(Mbarrier &m) {
  for (Thread *t : m.waiters) wake(*t->warp, 1u << t->lane);
  m.waiters.clear();
}

static void advance(Mbarrier &m) {
  if (m.pending || m.bytes) return;
  m.parity ^= 1;
  m.pending = m.arrivals;
  wake_waiters(m);
}

// copy_box makes the copy of a load: rows of the innermost dimension, whose 16-byte pieces are swizzled.
static void copy_box(Block &b, const Load &l) {
  Hopper &h = *b.hopper;
  const emu_tensor_map &m = *l.map;
  u32 row = m.box[0] * m.elem, rows = l.bytes / row;
  u32 mask = m.swizzle == 128 ? 0x70 : m.swizzle == 64 ? 0x30 : m.swizzle == 32 ? 0x10 : 0;
  std::vector<u8> line(row);
  for (u32 r = 0; r < rows; r++) {
    u64 from = m.address;
    bool in = true;
    u32 left = r;
    for (u32 i = 1; i < m.rank; i++) {
      int64_t x = (int64_t)l.at[i] + left % m.box[i];
      left /= m.box[i];
      in &= x >= 0 && x < (int64_t)m.dims[i];
      from += (u64)x * m.strides[i - 1];
    }
    memset(line.data(), 0, row);
    int64_t first = l.at[0] < 0 ? -(int64_t)l.at[0] : 0, end = (int64_t)m.dims[0] - l.at[0];
    if (end > m.box[0]) end = m.box[0];
    if (in && first < end) memcpy(line.data() + first * m.elem, (const u8 *)from + (l.at[0] + first) * m.elem, (size_t)(end - first) * m.elem);
    for (u32 i = 0; i < row; i += 16) {
      u32 o = (u32)(l.dst - b.shared) + r * row + i;
      o ^= o >> 3 & mask;
      memcpy(b.shared + o, line.data() + i, 16);
      memcpy(h.seen.data() + o, line.data() + i, 16);
    }
  }
}

static void finish(Block &b, const Load &l) {
  copy_box(b, l);
  for (Mbarrier &m : b.hopper->barriers)
    if (m.offset == l.bar) {
      m.bytes -= (int32_t)l.bytes;
      advance(m);
    }
}

bool finish_a_load(Block &b) {
  if (!b.hopper || b.hopper->loads.empty()) return false;
  size_t i = b.random ? draw(b) % b.hopper->loads.size() : 0;
  Load l = b.hopper->loads[i];
  b.hopper->loads.erase(b.hopper->loads.begin() + (long)i);
  finish(b, l);
  return true;
}

static void check_load(Block &b, const Load &l, u32 rank, const void *site) {
  const emu_tensor_map &m = *l.map;
  if ((uintptr_t)l.map % 64 || m.magic != EMU_TENSOR_MAP) fail("TMA by a map that nobody encoded, or not at a multiple of 64, at %s", where(site).c_str());
  if (m.rank != rank) fail("TMA of %u dimensions by a map of %u at %s", rank, m.rank, where(site).c_str());
  u32 align = m.swizzle ? 8 * m.swizzle : 128, row = m.box[0] * m.elem;
  if (m.swizzle && row != m.swizzle) fail("TMA of rows of %u bytes, swizzled by %u, at %s", row, m.swizzle, where(site).c_str());
  if (!in_shared(l.dst, l.bytes) || (u32)(l.dst - b.shared) % align)
    fail("TMA of %u bytes to byte %td of %u bytes of shared memory; it needs a multiple of %u, at %s", l.bytes, l.dst - b.shared, b.launch->shared, align, where(site).c_str());
  if (memcmp(l.dst, b.hopper->seen.data() + (l.dst - b.shared), l.bytes) != 0)
    fail("TMA to byte %td of shared memory, which threads have written without fence_async after it, at %s", l.dst - b.shared, where(site).c_str());
}

} // namespace emu

using namespace emu;

extern "C" {

void emu_mbarrier_init(unsigned long long *bar, u32 arrivals) {
  Block &b = *self()->warp->block;
  Hopper &h = hopper(b);
  const void *site = __builtin_return_address(0);
  if (!in_shared(bar, 8) || (uintptr_t)bar % 8) fail("an mbarrier at %p, which is not 8 aligned bytes of shared memory, at %s", (void *)bar, where(site).c_str());
  if (arrivals == 0 || arrivals >= 1 << 20) fail("an mbarrier of %u arrivals at %s", arrivals, where(site).c_str());
  u32 offset = (u32)((u8 *)bar - b.shared);
  for (const Mbarrier &m : h.barriers)
    if (m.offset < offset + 8 && offset < m.offset + 8) fail("an mbarrier at byte %u, where one is, at %s", offset, where(site).c_str());
  Mbarrier m;
  m.offset = offset;
  m.arrivals = m.pending = arrivals;
  h.barriers.push_back(m);
  u64 hold = marker ^ offset;
  memcpy(bar, &hold, 8);
}

void emu_mbarrier_init_fence() {
  for (Mbarrier &m : hopper(*self()->warp->block).barriers) m.fenced = true;
}

void emu_mbarrier_arrive(unsigned long long *bar, u32 bytes) {
  const void *site = __builtin_return_address(0);
  Block &b = *self()->warp->block;
  Mbarrier &m = barrier_at(hopper(b), b, bar, site);
  if (m.pending == 0) fail("the mbarrier at byte %u has all of its %u arrivals at %s", m.offset, m.arrivals, where(site).c_str());
  m.pending--;
  m.bytes += (int32_t)bytes;
  if (m.bytes >= 1 << 20) fail("the mbarrier at byte %u is to wait for %d bytes; 1048575 is the most, at %s", m.offset, m.bytes, where(site).c_str());
  advance(m);
}

void emu_mbarrier_wait(unsigned long long *bar, u32 parity) {
  Thread *t = self();
  const void *site = __builtin_return_address(0);
  Block &b = *t->warp->block;
  for (;;) {
    Mbarrier &m = barrier_at(hopper(b), b, bar, site);
    if (m.parity != (parity & 1)) return;
    t->op = Op::mbarrier;
    t->mask = 1u << t->lane;
    t->site = site;
    m.waiters.push_back(t);
    block_lanes(*t->warp, 1u << t->lane);
    leave();
  }
}

void emu_tma_load(void *dst, const void *map, const int32_t *at, u32 rank, unsigned long long *bar) {
  const void *site = __builtin_return_address(0);
  Block &b = *self()->warp->block;
  Hopper &h = hopper(b);
  Mbarrier &m = barrier_at(h, b, bar, site);
  if (!m.fenced) fail("TMA at an mbarrier without mbarrier_init_fence since it was made, at %s", where(site).c_str());
  Load l = {};
  l.dst = (u8 *)dst;
  l.map = (const emu_tensor_map *)map;
  l.bar = m.offset;
  l.bytes = l.map->elem;
  for (u32 i = 0; i < 5; i++) l.bytes *= l.map->box[i];
  for (u32 i = 0; i < rank; i++) l.at[i] = at[i];
  check_load(b, l, rank, site);
  if (!b.launch->options.async) return finish(b, l);
  memset(l.dst, 0xff, l.bytes);
  memset(h.seen.data() + (l.dst - b.shared), 0xff, l.bytes);
  h.loads.push_back(l);
}

void emu_fence_async() {
  Block &b = *self()->warp->block;
  Hopper &h = hopper(b);
  memcpy(h.seen.data(), b.shared, h.seen.size());
}
}
