// The emulated driver, libcuda.so.1: what its files share. It stands for the library of that name that NVIDIA's driver
// brings, so that programs made for a GPU run unchanged where there is none. Kernels run on the processor, by libemu.so.
//
// Streams are queues. Work runs when it is queued or, with ATTUNE_EMU_ASYNC=1, no sooner than something waits for it, so
// that a missing wait shows. Every call holds one lock; the environment is read at cuInit:
//   ATTUNE_EMU_GPUS=n      how many there are (1)
//   ATTUNE_EMU_CC=cc       their compute capability (90)
//   ATTUNE_EMU_DRIVER=v    what cuDriverGetVersion says (12090)
//   ATTUNE_EMU_MEMORY=n    bytes of memory of each (2 GiB)
//   ATTUNE_EMU_ASYNC=1     as said; copies and products inside kernels are late, too
//   ATTUNE_EMU_SEED=n      shuffles what the GPU promises no order of, see emu_api.h
//   ATTUNE_EMU_FAIL=function[:n[:code]],...  the n-th call (1) gives that code (999; out of memory where it allocates)
//   ATTUNE_EMU_LOG=file    a line a call is appended: name, code, what else there is
//   ATTUNE_EMU_LEAKS=1     a line on stderr for what a context still held when it was destroyed, or when the program ended
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

// The words of cuda.h that are needed, with its numbers; handles are pointers to what stands below.
typedef uint64_t CUdeviceptr;
enum CUresult {
  SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
  INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NO_BINARY_FOR_GPU = 209, UNSUPPORTED_PTX_VERSION = 222, INVALID_HANDLE = 400,
  ILLEGAL_STATE = 401, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700, LAUNCH_OUT_OF_RESOURCES = 701,
  HOST_MEMORY_ALREADY_REGISTERED = 712, HOST_MEMORY_NOT_REGISTERED = 713, MISALIGNED_ADDRESS = 716, LAUNCH_FAILED = 719,
  NOT_SUPPORTED = 801, STREAM_CAPTURE_UNSUPPORTED = 900, STREAM_CAPTURE_INVALIDATED = 901, STREAM_CAPTURE_MERGE = 902,
  STREAM_CAPTURE_UNMATCHED = 903, STREAM_CAPTURE_UNJOINED = 904, STREAM_CAPTURE_ISOLATION = 905, STREAM_CAPTURE_IMPLICIT = 906,
  CAPTURED_EVENT = 907, STREAM_CAPTURE_WRONG_THREAD = 908, UNKNOWN = 999,
};

// Work is one thing a stream does: a kernel, a copy, a fill, a product. It may run many times, as part of a graph.
struct Work {
  std::string what;
  std::function<CUresult(std::string &why)> run;
};
typedef std::shared_ptr<const Work> WorkPtr;

struct Context;
struct Stream;
struct Graph;

// Point is the moment in a stream behind so many pieces of its work.
struct Point {
  std::shared_ptr<Stream> stream;
  uint64_t done = 0;
};

struct Queued {
  WorkPtr work; // none: a mark of an event, or a wait
  std::vector<Point> after;
  std::shared_ptr<double> time; // of a mark: when it was passed, in milliseconds
};

// Capture is what begins with cuStreamBeginCapture.
struct Capture {
  Stream *origin;
  int mode; // 0 global, 1 of the thread, 2 relaxed
  uint64_t thread;
  CUresult broken = SUCCESS;
  std::vector<WorkPtr> nodes;
  std::map<Stream *, size_t> last;   // nodes when a stream did its last
  std::map<Stream *, size_t> joined; // as far as the origin has waited for a stream
};

struct Stream {
  Context *context;
  bool blocking; // waits for the default stream, and it for this one
  unsigned flags = 0;
  int priority = 0;
  std::deque<Queued> queue;
  uint64_t queued = 0, done = 0;
  std::shared_ptr<Capture> capture;
  Stream(Context *c, bool b) : context(c), blocking(b) {}
};

struct Event {
  Context *context;
  unsigned flags;
  Point at; // no stream: never recorded
  std::shared_ptr<double> time;
  std::weak_ptr<Capture> capture; // of the last record, with its stream and how many nodes there were
  bool captured = false;
  Stream *captured_by = nullptr;
  size_t captured_at = 0;
};

struct Function {
  std::string name;
  size_t args;
  uint32_t threads;
  int shared = 48 << 10; // most dynamic shared memory of a launch
  int target;            // compute capability it was compiled for
  int ptx;
};

struct Module {
  Context *context;
  std::string image;
  int target, ptx;
  std::map<std::string, std::unique_ptr<Function>> functions;
};

struct Graph {
  Context *context;
  std::vector<WorkPtr> nodes;
};

struct Exec {
  Context *context;
  std::shared_ptr<const std::vector<WorkPtr>> nodes;
  int64_t bytes; // of the device
};

struct Context {
  int device;
  unsigned flags = 0;
  int primary = 0; // how often it is retained; 0: an ordinary one
  std::shared_ptr<Stream> legacy, per_thread;
  std::map<Stream *, std::shared_ptr<Stream>> streams;
  std::map<Event *, std::unique_ptr<Event>> events;
  std::map<Module *, std::unique_ptr<Module>> modules;
  std::map<Graph *, std::unique_ptr<Graph>> graphs;
  std::map<Exec *, std::unique_ptr<Exec>> execs;
};

enum MemoryKind { DEVICE, PINNED, REGISTERED };
struct Memory {
  Context *context;
  MemoryKind kind;
  size_t bytes;
  void *map;
  size_t mapped;
  unsigned flags;
};

struct Failure { std::string function; long at; int code; };

struct State {
  std::recursive_mutex lock;
  bool initialized = false;
  int gpus = 1, cc = 90, version = 12090;
  int64_t memory = (int64_t)2 << 30;
  uint64_t seed = 0;
  bool async = false, leaks = false;
  int log = -1;
  std::vector<Failure> failures;
  std::map<std::string, long> calls;
  CUresult sticky = SUCCESS;
  std::string detail; // of the call under way, for the log
  std::map<Context *, std::unique_ptr<Context>> contexts;
  std::map<int, Context *> primaries;
  std::map<uint64_t, Memory> memories; // by address
  std::vector<std::weak_ptr<Capture>> captures;
};
State &state();

// The contexts of this thread, the current one last; context drops those that another thread has destroyed.
std::vector<Context *> &current();
Context *context();

// What a function needs.
enum {
  ANYTIME = 0,
  INIT = 1,        // cuInit was called
  CONTEXT = 2,     // one is current, and no kernel of it has failed
  UNCAPTURED = 4,  // refused while this thread captures, and that capture is spoilt
};
CUresult before(const char *name, int needs);
CUresult after(const char *name, CUresult r);

// call is the body of every function: f under the lock, between before and after.
template <class F> CUresult call(const char *name, int needs, F f) {
  std::lock_guard<std::recursive_mutex> hold(state().lock);
  CUresult r = before(name, needs);
  if (r == SUCCESS) r = f();
  return after(name, r);
}

// note adds to the line of the log; wrong says on stderr what is wrong with a call, and gives r.
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);
__attribute__((format(printf, 2, 3))) CUresult wrong(CUresult r, const char *format, ...);

// fail makes r the answer to every later call: a kernel failed.
void fail(CUresult r, const std::string &why);

// find_stream is the stream of a handle; NULL: there is none such.
std::shared_ptr<Stream> find_stream(Stream *handle);
// enqueue gives a stream work, or its capture.
CUresult enqueue(const std::shared_ptr<Stream> &s, WorkPtr work);
// add puts q into the queue and gives the point behind it.
Point add(const std::shared_ptr<Stream> &s, Queued q);
void run_until(const Point &p);
void run_all(Context *c);
// spoil breaks what this thread captures, or c alone; later calls about it give STREAM_CAPTURE_INVALIDATED.
CUresult spoil(Capture *c, CUresult r);
bool capturing_here();

// find_memory is the allocation that has all n bytes at p, or end.
std::map<uint64_t, Memory>::iterator find_memory(uint64_t p, size_t n);
bool is_device(uint64_t p, size_t n);
int64_t device_used(int device);
void release(std::map<uint64_t, Memory>::iterator m);
void leave(Context *c); // drops a context and what it still has
double now();           // in milliseconds
