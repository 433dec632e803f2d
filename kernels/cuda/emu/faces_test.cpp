// Checks of the emulated driver and cuBLASLt, each in a process of its own as they read the environment:
//   faces_test CASE
// prints what is not as it should be and ends with 1. kernels/cuda/emutest runs every case.
#include "faces_test.h"
#include "tensormap.h"

static const char image[] = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry add(\n) { ret; }\n.visible .entry elsewhere(\n";

// add of the .cu files: y = a + b.
struct Add { Ptr a, b, y; int64_t n; int32_t da, db, dy, pad; };

static int add(Any f, Any s, Ptr a, Ptr b, Ptr y, int64_t n, size_t size = sizeof(Add)) {
  Add args = {a, b, y, n, 1, 1, 1, 0};
  void *extra[] = {(void *)1, &args, (void *)2, &size, nullptr};
  return cuLaunchKernel(f, (unsigned)((n + 2047) / 2048), 1, 1, 256, 1, 1, 0, s, nullptr, extra);
}

static Any function(const char *name = "add") {
  Any m = nullptr, f = nullptr;
  WANT(0, cuModuleLoadData(&m, image))
  WANT(0, cuModuleGetFunction(&f, m, name))
  return f;
}

static void no_device() {
  WANT(100, cuInit(0))
  int n;
  WANT(3, cuDeviceGetCount(&n))
  WANT(0, cuDriverGetVersion(&n))
}

static void devices() {
  int n = 0, v = 0;
  WANT(3, cuDeviceGetCount(&n))
  WANT(0, cuInit(0))
  WANT(0, cuDeviceGetCount(&n))
  TRUE(n == 2)
  WANT(101, cuDeviceGet(&v, 2))
  WANT(0, cuDeviceGetAttribute(&v, 75, 1))
  TRUE(v == 8)
  WANT(0, cuDeviceGetAttribute(&v, 76, 1))
  TRUE(v == 6)
  WANT(0, cuDeviceGetAttribute(&v, 97, 1))
  TRUE(v == 101376)
  WANT(0, cuDriverGetVersion(&v))
  TRUE(v == 12020)
  WANT(201, cuCtxSynchronize())
}

static void kernels() {
  open();
  Any m, f, s = stream();
  WANT(0, cuModuleLoadData(&m, image))
  WANT(500, cuModuleGetFunction(&f, m, "scaleby"))   // not in the image
  WANT(500, cuModuleGetFunction(&f, m, "elsewhere")) // not in the emulator
  WANT(500, cuModuleGetFunction(&f, m, "ad"))
  WANT(0, cuModuleGetFunction(&f, m, "add"))
  Ptr a = device(4000), y = device(4000);
  WANT(0, cuMemsetD32Async(a, 0x3f800000, 1000, s)) // 1
  WANT(0, add(f, s, a, a, y, 1000))
  WANT(0, cuStreamSynchronize(s))
  TRUE(fetch(y) == 2 && fetch(y + 3996) == 2)
  WANT(1, add(f, s, a, a, y, 1000, sizeof(Add) - 8))
  WANT(1, add(f, s, a, a, y, 0)) // no blocks
  WANT(0, cuFuncSetAttribute(f, 8, 227 << 10))
  WANT(1, cuFuncSetAttribute(f, 8, (227 << 10) + 1))
  void *params[] = {nullptr};
  Add args = {a, y, y, 1000, 1, 1, 1, 0};
  params[0] = &args;
  WANT(1, cuLaunchKernel(f, 1, 1, 1, 512, 1, 1, 0, s, params, nullptr)) // more threads than it is for
  WANT(0, cuLaunchKernel(f, 1, 1, 1, 256, 1, 1, 0, s, params, nullptr))
  WANT(0, cuStreamSynchronize(s))
  TRUE(fetch(y) == 3)
  Any late;
  WANT(222, cuModuleLoadData(&late, ".version 9.9\n.target sm_80\n"))
  WANT(209, cuModuleLoadData(&late, ".version 8.0\n.target sm_120\n"))
  void *p;
  int status = 7;
  WANT(0, cuGetProcAddress_v2("cuMemAlloc", &p, 12000, 0, &status))
  TRUE(p == (void *)cuMemAlloc_v2 && status == 0)
  WANT(500, cuGetProcAddress_v2("cuNothing", &p, 12000, 0, &status))
  TRUE(!p && status == 1)
  WANT(801, ((int (*)())dlsym(RTLD_DEFAULT, "cuMemPoolCreate"))())
}

// A kernel that writes beyond an allocation: the launch succeeds, and nothing does after it.
static void sticky() {
  open();
  Any f = function(), s = stream();
  Ptr a = device(4096);
  WANT(0, add(f, s, a, a, a, 1 << 20))
  WANT(700, cuStreamSynchronize(s))
  WANT(700, cuMemFree_v2(a))
  WANT(700, cuMemAlloc_v2(&a, 4))
  const char *name = nullptr;
  WANT(0, cuGetErrorName(700, &name))
  TRUE(name && strcmp(name, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0)
  WANT(0, cuCtxDestroy_v2(context))
}

static void memory() {
  open();
  size_t free, total, before;
  WANT(0, cuMemGetInfo_v2(&before, &total))
  TRUE(total == 64 << 20 && before == total)
  Ptr p[3];
  WANT(0, cuMemAlloc_v2(&p[0], 40 << 20))
  WANT(2, cuMemAlloc_v2(&p[1], 30 << 20))
  WANT(0, cuMemAlloc_v2(&p[1], 100))
  WANT(0, cuMemAlloc_v2(&p[2], 22 << 20))
  WANT(0, cuMemGetInfo_v2(&free, &total))
  TRUE(free == 0)
  WANT(2, cuMemAlloc_v2(&p[2] + 0 * free, 1 << 20))
  WANT(1, cuMemFree_v2(p[0] + 16))
  WANT(0, cuMemFree_v2(p[0]))
  WANT(1, cuMemFree_v2(p[0]))
  TRUE(isnan(fetch(p[1] + 96))) // what nobody wrote
  float f = 1;
  WANT(1, cuMemcpyHtoD_v2(p[1] + 100, &f, 4))
  WANT(1, cuMemcpyHtoD_v2(p[1] + 98, &f, 4))
  WANT(1, cuMemcpyDtoH_v2((void *)p[1], p[1], 4))
  WANT(1, cuMemcpyHtoD_v2((Ptr)&f, &f, 4))
}

// ATTUNE_EMU_ASYNC=1: what is queued runs when something waits for it.
static void late() {
  open();
  Any s = stream(), other = stream(), mark, after;
  WANT(0, cuEventCreate(&mark, 0))
  WANT(0, cuEventCreate(&after, 0))
  Ptr a = device(4), b = device(4);
  float *up = pinned(1), *down = pinned(1), pageable = 1;
  up[0] = 1, down[0] = -1;
  WANT(0, cuMemcpyHtoDAsync_v2(a, up, 4, s))
  WANT(0, cuMemcpyHtoDAsync_v2(b, &pageable, 4, s))
  up[0] = 2, pageable = 2; // the first too early, the second not
  WANT(0, cuMemcpyDtoHAsync_v2(down, a, 4, s))
  TRUE(down[0] == -1)
  WANT(0, cuStreamSynchronize(s))
  TRUE(down[0] == 2)
  TRUE(fetch(b) == 1)
  // Streams that do not wait for each other.
  up[0] = 3;
  WANT(0, cuMemcpyHtoDAsync_v2(a, up, 4, s))
  WANT(0, cuEventRecord(mark, s))
  WANT(600, cuEventElapsedTime(up, mark, mark))
  WANT(0, cuMemcpyDtoHAsync_v2(down, a, 4, other))
  WANT(0, cuStreamSynchronize(other))
  TRUE(down[0] == 2)
  // Streams that do.
  WANT(0, cuStreamWaitEvent(other, mark, 0))
  WANT(0, cuMemcpyDtoHAsync_v2(down, a, 4, other))
  WANT(0, cuEventRecord(after, other))
  WANT(0, cuEventSynchronize(after))
  TRUE(down[0] == 3)
  WANT(0, cuEventQuery(mark))
  float ms = -1;
  WANT(0, cuEventElapsedTime(&ms, mark, after))
  TRUE(ms >= 0)
  // Asking goes on until it is done.
  WANT(0, cuMemcpyHtoDAsync_v2(a, up, 4, s))
  WANT(0, cuEventRecord(mark, s))
  int asked = 0;
  while (cuEventQuery(mark) == 600 && asked < 10) asked++;
  TRUE(asked > 0 && asked < 10)
  // The default stream waits for blocking streams.
  Any blocking = stream(0);
  up[0] = 4;
  WANT(0, cuMemcpyHtoDAsync_v2(a, up, 4, blocking))
  TRUE(fetch(a) == 4)
}

static void graphs() {
  open();
  Any f = function(), s = stream(), branch = stream(), mark, back, graph, exec;
  WANT(0, cuEventCreate(&mark, 2))
  WANT(0, cuEventCreate(&back, 2))
  Ptr a = device(4), b = device(4), y = device(4);
  float *up = pinned(1), pageable = 0;
  WANT(0, cuMemsetD32Async(b, 0x3f800000, 1, s))
  WANT(0, cuStreamSynchronize(s))
  WANT(0, cuStreamBeginCapture_v2(s, 1))
  WANT(0, cuMemcpyHtoDAsync_v2(a, up, 4, s))
  WANT(0, cuEventRecord(mark, s))
  WANT(0, cuStreamWaitEvent(branch, mark, 0))
  WANT(0, cuMemsetD8Async(y, 0, 4, branch))
  WANT(0, cuEventRecord(back, branch))
  WANT(0, cuStreamWaitEvent(s, back, 0))
  WANT(0, add(f, s, a, b, y, 1))
  WANT(0, cuStreamEndCapture(s, &graph))
  size_t nodes = 0;
  WANT(0, cuGraphGetNodes(graph, nullptr, &nodes))
  TRUE(nodes == 3)
  WANT(0, cuGraphInstantiateWithFlags(&exec, graph, 0))
  WANT(0, cuGraphDestroy(graph))
  TRUE(isnan(fetch(y))) // nothing ran
  for (int i = 1; i < 4; i++) {
    up[0] = (float)i;
    WANT(0, cuGraphLaunch(exec, s))
    WANT(0, cuStreamSynchronize(s))
    TRUE(fetch(y) == (float)i + 1)
  }
  WANT(0, cuGraphExecDestroy(exec))
  WANT(1, cuGraphLaunch(exec, s))

  // What a capture does not allow spoils it, and the next one is sound.
  struct { const char *what; int code, status; } refused[] = {{"sync", 900, 901}, {"alloc", 900, 901}, {"copy", 900, 901}, {"context", 900, 901}, {"event", 907, 0},
                                                              {"pageable", 900, 901}, {"outside", 905, 901}, {"branch", 0, 904}, {"nothing", 0, 0}};
  Any outside;
  WANT(0, cuEventCreate(&outside, 2))
  WANT(0, cuEventRecord(outside, s))
  for (auto &r : refused) {
    Ptr p;
    std::string what = r.what;
    WANT(0, cuStreamBeginCapture_v2(s, 1))
    int got = 0;
    if (what == "sync") got = cuStreamSynchronize(s);
    if (what == "alloc") got = cuMemAlloc_v2(&p, 4);
    if (what == "copy") got = cuMemcpyDtoH_v2(&pageable, a, 4);
    if (what == "context") got = cuCtxSynchronize();
    if (what == "event") got = cuEventRecord(mark, s), got = cuEventSynchronize(mark);
    if (what == "pageable") got = cuMemcpyHtoDAsync_v2(a, &pageable, 4, s);
    if (what == "outside") got = cuStreamWaitEvent(s, outside, 0);
    if (what == "branch") got = cuEventRecord(mark, s), cuStreamWaitEvent(branch, mark, 0), got = cuMemsetD8Async(y, 0, 4, branch);
    if (got != r.code) printf("%s in a capture gives %d, not %d\n", r.what, got, r.code), wrong++;
    int end = cuStreamEndCapture(s, &graph);
    if (end != r.status || (end != 0) != (graph == nullptr)) printf("a capture with %s ends with %d, not %d\n", r.what, end, r.status), wrong++;
  }
  WANT(401, cuStreamEndCapture(s, &graph))
  WANT(900, cuStreamBeginCapture_v2(nullptr, 1))
  // Another thread may do as it likes while this one captures, but not end it.
  WANT(0, cuStreamBeginCapture_v2(s, 1))
  std::thread([&] {
    Ptr p;
    WANT(0, cuCtxSetCurrent(context))
    WANT(0, cuMemAlloc_v2(&p, 4))
    WANT(908, cuStreamEndCapture(s, &graph))
  }).join();
  WANT(0, cuStreamEndCapture(s, &graph))
}

static void failures() {
  open();
  Ptr p;
  WANT(0, cuMemAlloc_v2(&p, 4))
  WANT(2, cuMemAlloc_v2(&p, 4))
  WANT(0, cuMemAlloc_v2(&p, 4))
  WANT(0, cuCtxSynchronize())
  WANT(719, cuStreamSynchronize(nullptr)) // of those that stay
  WANT(719, cuCtxSynchronize())
}

static void leaks() {
  open();
  device(100);
  device(1 << 20);
  pinned(25);
  stream();
  WANT(0, cuCtxDestroy_v2(context))
}

static void maps() {
  open();
  alignas(64) emu_tensor_map map;
  Ptr p = device(64 * 100 * 2);
  uint64_t dims[] = {64, 100}, strides[] = {128};
  uint32_t box[] = {64, 32}, ones[] = {1, 1};
  auto encode = [&](int swizzle) { return cuTensorMapEncodeTiled(&map, 9, 2, (void *)p, dims, strides, box, ones, 0, swizzle, 0, 0); };
  WANT(0, encode(3))
  TRUE(map.magic == EMU_TENSOR_MAP && map.address == p && map.elem == 2 && map.swizzle == 128 && map.box[1] == 32 && map.strides[0] == 128)
  WANT(1, encode(2)) // rows of 128 bytes, swizzled over 64
  strides[0] = 136;
  WANT(1, encode(3)) // 136 is no multiple of 16
  strides[0] = 144;
  WANT(1, encode(3)) // beyond the allocation
  strides[0] = 128, box[1] = 257;
  WANT(1, encode(3))
}

int main(int n, char **args) {
  std::map<std::string, void (*)()> cases = {{"no-device", no_device}, {"devices", devices}, {"kernels", kernels}, {"sticky", sticky}, {"memory", memory}, {"late", late},
                                             {"graphs", graphs}, {"failures", failures}, {"leaks", leaks}, {"maps", maps}, {"products", products}};
  if (n != 2 || !cases.count(args[1])) return fprintf(stderr, "which case?\n"), 2;
  cases[args[1]]();
  if (wrong == 0) printf("ok\n");
  return wrong != 0;
}
