// The emulated driver: copies and fills.
#include "driver.h"

#include <string.h>

enum Side { GPU, HOST };

// check says whether n bytes at p may stand on that side of a copy; pinned is whether the host's are page-locked.
static CUresult check(const char *what, uint64_t p, size_t n, Side side, bool *pinned) {
  auto m = find_memory(p, 1), whole = find_memory(p, n), none = state().memories.end();
  if (side == GPU) {
    if (whole != none && whole->second.kind == DEVICE) return SUCCESS;
    if (m != none && m->second.kind == DEVICE)
      return wrong(INVALID_VALUE, "%s %zu bytes at %p, of an allocation of %zu bytes at %p", what, n, (void *)p, m->second.bytes, (void *)m->first);
    return wrong(INVALID_VALUE, "%s %zu bytes at %p, which is not memory of the device", what, n, (void *)p);
  }
  *pinned = m != none;
  if (p == 0) return wrong(INVALID_VALUE, "%s NULL", what);
  if (m == none) return SUCCESS;
  if (m->second.kind == DEVICE) return wrong(INVALID_VALUE, "%s %p, which is memory of the device", what, (void *)p);
  if (whole == none) return wrong(INVALID_VALUE, "%s %zu bytes at %p, of %zu page-locked ones at %p", what, n, (void *)p, m->second.bytes, (void *)m->first);
  return SUCCESS;
}

// copy is all copies. Where the host's memory is not page-locked the host waits: what it gives is read, and what it gets
// is written, before the call ends.
static CUresult copy(uint64_t dst, Side to, uint64_t src, Side from, size_t n, const std::shared_ptr<Stream> &s, bool wait) {
  note("%zu", n);
  if (!s) return INVALID_HANDLE;
  if (n == 0) return SUCCESS;
  bool pinned = true;
  CUresult r = check("copies to", dst, n, to, &pinned);
  if (r == SUCCESS) r = check("copies from", src, n, from, &pinned);
  if (r != SUCCESS) return r;
  if (s->capture && !pinned) return wrong(spoil(s->capture.get(), STREAM_CAPTURE_UNSUPPORTED), "a copy of memory that is not page-locked is captured");
  auto work = std::make_shared<Work>();
  work->what = "copy";
  if (from == HOST && !pinned && !wait) {
    auto staged = std::make_shared<std::vector<char>>((char *)src, (char *)src + n);
    work->run = [=](std::string &) { return memcpy((void *)dst, staged->data(), n), SUCCESS; };
  } else {
    work->run = [=](std::string &) { return memmove((void *)dst, (void *)src, n), SUCCESS; };
  }
  r = enqueue(s, work);
  if (r != SUCCESS || s->capture) return r;
  if (wait || (to == HOST && !pinned)) {
    run_until({s, s->queued});
    return state().sticky;
  }
  return SUCCESS;
}

API CUresult cuMemcpyHtoD_v2(CUdeviceptr dst, const void *src, size_t n) {
  return call("cuMemcpyHtoD", CONTEXT | UNCAPTURED, [&] { return copy(dst, GPU, (uint64_t)src, HOST, n, find_stream(nullptr), true); });
}
API CUresult cuMemcpyDtoH_v2(void *dst, CUdeviceptr src, size_t n) {
  return call("cuMemcpyDtoH", CONTEXT | UNCAPTURED, [&] { return copy((uint64_t)dst, HOST, src, GPU, n, find_stream(nullptr), true); });
}
API CUresult cuMemcpyDtoD_v2(CUdeviceptr dst, CUdeviceptr src, size_t n) {
  return call("cuMemcpyDtoD", CONTEXT | UNCAPTURED, [&] { return copy(dst, GPU, src, GPU, n, find_stream(nullptr), false); });
}
API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t n, Stream *s) {
  return call("cuMemcpyHtoDAsync", CONTEXT, [&] { return copy(dst, GPU, (uint64_t)src, HOST, n, find_stream(s), false); });
}
API CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t n, Stream *s) {
  return call("cuMemcpyDtoHAsync", CONTEXT, [&] { return copy((uint64_t)dst, HOST, src, GPU, n, find_stream(s), false); });
}
API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t n, Stream *s) {
  return call("cuMemcpyDtoDAsync", CONTEXT, [&] { return copy(dst, GPU, src, GPU, n, find_stream(s), false); });
}

static Side side(uint64_t p) { return is_device(p, 1) ? GPU : HOST; }

API CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t n) {
  return call("cuMemcpy", CONTEXT | UNCAPTURED, [&] {
    return copy(dst, side(dst), src, side(src), n, find_stream(nullptr), side(dst) == HOST || side(src) == HOST);
  });
}
API CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t n, Stream *s) {
  return call("cuMemcpyAsync", CONTEXT, [&] { return copy(dst, side(dst), src, side(src), n, find_stream(s), false); });
}

template <class T> static CUresult fill(CUdeviceptr dst, T v, size_t n, const std::shared_ptr<Stream> &s) {
  note("%zu", n * sizeof(T));
  if (!s) return INVALID_HANDLE;
  if (n == 0) return SUCCESS;
  if (dst % sizeof(T)) return wrong(INVALID_VALUE, "fills with %zu bytes from %p on", sizeof(T), (void *)dst);
  if (CUresult r = check("fills", dst, n * sizeof(T), GPU, nullptr); r != SUCCESS) return r;
  auto work = std::make_shared<Work>();
  work->what = "fill";
  work->run = [=](std::string &) {
    for (size_t i = 0; i < n; i++) ((T *)dst)[i] = v;
    return SUCCESS;
  };
  return enqueue(s, work);
}

API CUresult cuMemsetD8_v2(CUdeviceptr p, unsigned char v, size_t n) {
  return call("cuMemsetD8", CONTEXT | UNCAPTURED, [&] { return fill(p, v, n, find_stream(nullptr)); });
}
API CUresult cuMemsetD16_v2(CUdeviceptr p, unsigned short v, size_t n) {
  return call("cuMemsetD16", CONTEXT | UNCAPTURED, [&] { return fill(p, v, n, find_stream(nullptr)); });
}
API CUresult cuMemsetD32_v2(CUdeviceptr p, unsigned v, size_t n) {
  return call("cuMemsetD32", CONTEXT | UNCAPTURED, [&] { return fill(p, v, n, find_stream(nullptr)); });
}
API CUresult cuMemsetD8Async(CUdeviceptr p, unsigned char v, size_t n, Stream *s) {
  return call("cuMemsetD8Async", CONTEXT, [&] { return fill(p, v, n, find_stream(s)); });
}
API CUresult cuMemsetD16Async(CUdeviceptr p, unsigned short v, size_t n, Stream *s) {
  return call("cuMemsetD16Async", CONTEXT, [&] { return fill(p, v, n, find_stream(s)); });
}
API CUresult cuMemsetD32Async(CUdeviceptr p, unsigned v, size_t n, Stream *s) {
  return call("cuMemsetD32Async", CONTEXT, [&] { return fill(p, v, n, find_stream(s)); });
}
