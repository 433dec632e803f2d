// The emulated driver: names of errors, tensor maps, addresses of functions.
#include "driver.h"
#include "tensormap.h"

#include <dlfcn.h>
#include <string.h>

struct Name { int code; const char *name, *text; };
static const Name names[] = {
  {0, "CUDA_SUCCESS", "no error"},
  {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
  {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
  {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
  {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
  {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
  {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
  {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
  {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
  {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
  {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
  {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
  {401, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
  {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
  {600, "CUDA_ERROR_NOT_READY", "device not ready"},
  {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
  {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
  {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "part or all of the requested memory range is already mapped"},
  {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "pointer does not correspond to a registered memory region"},
  {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
  {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
  {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
  {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
  {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
  {902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"},
  {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
  {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
  {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
  {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
  {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
  {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"},
  {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static const Name *find(int code) {
  for (const Name &n : names)
    if (n.code == code) return &n;
  return nullptr;
}

API CUresult cuGetErrorName(int code, const char **text) {
  const Name *n = find(code);
  *text = n ? n->name : nullptr;
  return n ? SUCCESS : INVALID_VALUE;
}

API CUresult cuGetErrorString(int code, const char **text) {
  const Name *n = find(code);
  *text = n ? n->text : nullptr;
  return n ? SUCCESS : INVALID_VALUE;
}

// The functions that GetProcAddress gives are the newest of their name, as a program of CUDA 12 asks for them.
API CUresult cuGetProcAddress_v2(const char *symbol, void **function, int, uint64_t, int *status) {
  return call("cuGetProcAddress", ANYTIME, [&] {
    if (!symbol || !function) return INVALID_VALUE;
    note("%s", symbol);
    Dl_info me;
    void *self = dladdr((void *)find, &me) ? dlopen(me.dli_fname, RTLD_NOW | RTLD_NOLOAD) : nullptr;
    if (!self) return UNKNOWN;
    std::string name = strcmp(symbol, "cuGraphInstantiate") == 0 ? "cuGraphInstantiateWithFlags" : symbol;
    *function = dlsym(self, (name + "_v2").c_str());
    if (!*function) *function = dlsym(self, name.c_str());
    dlclose(self);
    if (status) *status = *function ? 0 : 1;
    return *function ? SUCCESS : NOT_FOUND;
  });
}

API CUresult cuTensorMapEncodeTiled(emu_tensor_map *map, int type, uint32_t rank, void *address, const uint64_t *dims, const uint64_t *strides, const uint32_t *box,
                                    const uint32_t *steps, int interleave, int swizzle, int promotion, int fill) {
  return call("cuTensorMapEncodeTiled", INIT, [&] {
    static const uint32_t sizes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
    if (state().cc < 90) return wrong(NOT_SUPPORTED, "tensor maps on sm_%d; they begin with sm_90", state().cc);
    if (!map || !dims || !box || !steps || rank == 0 || rank > 5 || (rank > 1 && !strides)) return INVALID_VALUE;
    if (type < 0 || type > 12 || promotion < 0 || promotion > 3 || swizzle < 0 || swizzle > 3) return INVALID_VALUE;
    if (interleave != 0 || fill != 0) return wrong(NOT_SUPPORTED, "tensor maps that interleave, or fill with NaN");
    for (uint32_t i = 1; i < rank; i++)
      if (steps[i] != 1) return wrong(NOT_SUPPORTED, "tensor maps with steps of %u elements", steps[i]);
    char err[256];
    if (emu_encode_tensor_map(map, sizes[type], rank, (uint64_t)address, dims, strides, box, swizzle ? 16u << swizzle : 0, err, sizeof err) != 0)
      return wrong(INVALID_VALUE, "%s", err);
    auto m = find_memory((uint64_t)address, 1);
    if (m == state().memories.end() || m->second.kind != DEVICE) return wrong(INVALID_VALUE, "tensor map: %p is not memory of the device", address);
    uint64_t last = map->elem;
    for (uint32_t i = 0; i < rank; i++) last += (dims[i] - 1) * (i == 0 ? map->elem : strides[i - 1]);
    if (!is_device((uint64_t)address, last)) return wrong(INVALID_VALUE, "tensor map: the tensor has %zu bytes from %p on, the allocation ends before", (size_t)last, address);
    return SUCCESS;
  });
}

API CUresult cuProfilerInitialize(const char *, const char *, int) { return NOT_SUPPORTED; }
API CUresult cuProfilerStart() {
  return call("cuProfilerStart", CONTEXT, [] { return SUCCESS; });
}
API CUresult cuProfilerStop() {
  return call("cuProfilerStop", CONTEXT, [] { return SUCCESS; });
}
