// The emulated driver: memory. An allocation of the device is memory of the process that ends, up to its alignment, at a
// page that cannot be touched, and holds 0xff at first, which is NaN to every float.
#include "driver.h"

#include <string.h>
#include <sys/mman.h>

static const size_t page = 4096, align = 256, small = 1 << 20, driver_page = 2 << 20;
static const size_t marked = 1 << 20; // of larger ones only so much is filled: memory that nobody uses costs nothing

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// map makes an allocation; first is what its bytes hold.
static CUresult map(uint64_t *at, size_t bytes, MemoryKind kind, unsigned flags, int first) {
  size_t room = round_up(bytes, page);
  char *p = (char *)mmap(nullptr, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED || mprotect(p + page, room, PROT_READ | PROT_WRITE) != 0) return OUT_OF_MEMORY;
  char *data = p + page + room - round_up(bytes, align);
  if (first) memset(data, first, bytes < marked ? bytes : marked);
  *at = (uint64_t)data;
  state().memories[*at] = Memory{context(), kind, bytes, p, room + 2 * page, flags};
  return SUCCESS;
}

void release(std::map<uint64_t, Memory>::iterator m) {
  if (m->second.map) munmap(m->second.map, m->second.mapped);
  state().memories.erase(m);
}

std::map<uint64_t, Memory>::iterator find_memory(uint64_t p, size_t n) {
  auto &all = state().memories;
  auto m = all.upper_bound(p);
  if (m == all.begin()) return all.end();
  --m;
  uint64_t off = p - m->first;
  return off < m->second.bytes && n <= m->second.bytes - off ? m : all.end();
}

bool is_device(uint64_t p, size_t n) {
  auto m = find_memory(p, n);
  return m != state().memories.end() && m->second.kind == DEVICE;
}

// Large allocations take whole pages of the driver, small ones and graphs share them.
int64_t device_used(int device) {
  int64_t large = 0, shared = 0;
  for (const auto &[at, m] : state().memories) {
    if (m.kind != DEVICE || m.context->device != device) continue;
    if (m.bytes >= small) large += (int64_t)round_up(m.bytes, driver_page);
    else shared += (int64_t)round_up(m.bytes, 512);
  }
  for (const auto &[c, owned] : state().contexts)
    if (c->device == device)
      for (const auto &[e, exec] : c->execs) shared += exec->bytes;
  return large + (int64_t)round_up((size_t)shared, driver_page);
}

API CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  return call("cuMemGetInfo", CONTEXT, [&] {
    *total = (size_t)state().memory;
    *free = (size_t)std::max<int64_t>(state().memory - device_used(context()->device), 0);
    return SUCCESS;
  });
}

API CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t bytes) {
  return call("cuMemAlloc", CONTEXT | UNCAPTURED, [&] {
    note("%zu", bytes);
    if (!p || bytes == 0) return INVALID_VALUE;
    if (bytes > (size_t)state().memory) return OUT_OF_MEMORY;
    CUresult r = map(p, bytes, DEVICE, 0, 0xff);
    if (r == SUCCESS && device_used(context()->device) > state().memory) {
      release(find_memory(*p, bytes));
      *p = 0;
      r = OUT_OF_MEMORY;
    }
    return r;
  });
}

// Freeing waits for the device, as drivers do.
static CUresult give_back(uint64_t p, MemoryKind kind) {
  auto m = state().memories.find(p);
  if (m == state().memories.end() || m->second.kind != kind)
    return wrong(kind == REGISTERED ? HOST_MEMORY_NOT_REGISTERED : INVALID_VALUE, "%p is freed, and was not allocated by this or is freed already", (void *)p);
  note("%zu", m->second.bytes);
  run_all(m->second.context);
  release(m);
  return state().sticky;
}

API CUresult cuMemFree_v2(CUdeviceptr p) {
  return call("cuMemFree", CONTEXT | UNCAPTURED, [&] { return p ? give_back(p, DEVICE) : SUCCESS; });
}

API CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr p) {
  return call("cuMemGetAddressRange", CONTEXT, [&] {
    auto m = find_memory(p, 1);
    if (m == state().memories.end() || m->second.kind != DEVICE) return NOT_FOUND;
    if (base) *base = m->first;
    if (bytes) *bytes = m->second.bytes;
    return SUCCESS;
  });
}

API CUresult cuMemHostAlloc(void **p, size_t bytes, unsigned flags) {
  return call("cuMemHostAlloc", CONTEXT | UNCAPTURED, [&] {
    note("%zu", bytes);
    if (!p || bytes == 0) return INVALID_VALUE;
    return map((uint64_t *)p, bytes, PINNED, flags, 0);
  });
}

API CUresult cuMemAllocHost_v2(void **p, size_t bytes) {
  return call("cuMemAllocHost", CONTEXT | UNCAPTURED, [&] {
    note("%zu", bytes);
    if (!p || bytes == 0) return INVALID_VALUE;
    return map((uint64_t *)p, bytes, PINNED, 0, 0);
  });
}

API CUresult cuMemFreeHost(void *p) {
  return call("cuMemFreeHost", CONTEXT | UNCAPTURED, [&] { return p ? give_back((uint64_t)p, PINNED) : SUCCESS; });
}

API CUresult cuMemHostRegister_v2(void *p, size_t bytes, unsigned flags) {
  return call("cuMemHostRegister", CONTEXT | UNCAPTURED, [&] {
    note("%zu", bytes);
    if (!p || bytes == 0) return INVALID_VALUE;
    auto next = state().memories.lower_bound((uint64_t)p);
    if (find_memory((uint64_t)p, 1) != state().memories.end() || (next != state().memories.end() && next->first < (uint64_t)p + bytes))
      return HOST_MEMORY_ALREADY_REGISTERED;
    state().memories[(uint64_t)p] = Memory{context(), REGISTERED, bytes, nullptr, 0, flags};
    return SUCCESS;
  });
}

API CUresult cuMemHostUnregister(void *p) {
  return call("cuMemHostUnregister", CONTEXT | UNCAPTURED, [&] { return give_back((uint64_t)p, REGISTERED); });
}

API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *d, void *p, unsigned) {
  return call("cuMemHostGetDevicePointer", CONTEXT, [&] {
    auto m = find_memory((uint64_t)p, 1);
    if (m == state().memories.end() || m->second.kind == DEVICE) return INVALID_VALUE;
    *d = (uint64_t)p;
    return SUCCESS;
  });
}

API CUresult cuMemHostGetFlags(unsigned *flags, void *p) {
  return call("cuMemHostGetFlags", CONTEXT, [&] {
    auto m = find_memory((uint64_t)p, 1);
    if (m == state().memories.end() || m->second.kind != PINNED) return INVALID_VALUE;
    *flags = m->second.flags;
    return SUCCESS;
  });
}
