// cp.async. At once: a copy is made where it is asked for. As late as allowed: its destination holds NaN from there on, and
// the source is read and the copy made at the wait that guarantees it.
#include "core.h"

namespace emu {

bool in_shared(const void *p, size_t n) {
  const Block &b = *self()->warp->block;
  return (const u8 *)p >= b.shared && (const u8 *)p + n <= b.shared + b.launch->shared;
}

static void copy(const Copy &c) {
  memcpy(c.dst, c.src, c.bytes);
  memset(c.dst + c.bytes, 0, c.size - c.bytes);
}

void check_copies_at_exit(Thread *t) {
  if (!t->copies.empty()) fail("ends with %zu copies by cp.async that it has not waited for", t->copies.size());
}

} // namespace emu

using namespace emu;

extern "C" {

void emu_cp_async(void *dst, const void *src, u32 size, u32 bytes) {
  Thread *t = self();
  const void *site = __builtin_return_address(0);
  if (bytes > size) fail("cp.async of %u of %u bytes at %s", bytes, size, where(site).c_str());
  if ((uintptr_t)dst % size || !in_shared(dst, size)) fail("cp.async to %p, which is not %u aligned bytes of shared memory, at %s", dst, size, where(site).c_str());
  if (bytes && (uintptr_t)src % size) fail("cp.async from %p, which is not a multiple of %u, at %s", src, size, where(site).c_str());
  Copy c = {(u8 *)dst, (const u8 *)src, size, bytes, t->group};
  if (t->warp->block->launch->options.async) memset(dst, 0xff, size);
  else copy(c);
  t->copies.push_back(c);
}

void emu_cp_async_commit() { self()->group++; }

void emu_cp_async_wait(u32 pending) {
  Thread *t = self();
  if (t->group < pending) return;
  u32 until = t->group - pending; // groups before it are complete
  size_t n = 0;
  while (n < t->copies.size() && t->copies[n].group < until) {
    if (t->warp->block->launch->options.async) copy(t->copies[n]);
    n++;
  }
  t->copies.erase(t->copies.begin(), t->copies.begin() + (long)n);
}
}
