// The emulator's own view of a launch: threads as fibers, warps that meet, blocks run by workers (threads of the processor).
#pragma once
#include "emu.h"
#include "emu_api.h"

#include <atomic>
#include <string>
#include <vector>

namespace emu {

typedef uint32_t u32;
typedef uint64_t u64;
typedef uint8_t u8;
typedef uint16_t u16;

struct Warp;
struct Block;
struct Worker;
struct Hopper;

// What lanes meet for.
enum class Op : u32 { none, syncwarp, vote, shuffle, ldmatrix, mma, barrier, mbarrier, wgmma, wgmma_fence, wgmma_commit, wgmma_wait };
const char *name_of(Op op);

// A copy by cp.async that is not yet waited for.
struct Copy {
  u8 *dst;
  const u8 *src;
  u32 size, bytes, group;
};

struct Thread : emu_thread_view {
  void *sp = nullptr; // where it goes on, while another one runs
  u8 *stack = nullptr;
  Warp *warp = nullptr;
  // The meeting it waits at.
  Op op = Op::none;
  u32 mask = 0;
  const void *site = nullptr; // its address in the kernel
  void *arg = nullptr;
  u32 group = 0; // of cp.async: the one that is being collected
  std::vector<Copy> copies;
};

struct Warp {
  Block *block;
  Thread *lanes;
  u32 index;
  u32 fresh = 0;   // lanes that have not begun
  u32 ready = 0;   // lanes that may run, the running one among them
  u32 waiting = 0; // lanes in an unfinished meeting of the warp
  u32 exited = 0;
  u32 all = 0;     // lanes that the block has
  u32 at = 0, step = 1, start = 0; // the order of lanes: position p is lane (p*step + start) % 32; at is the current position
  u32 live() const { return all & ~exited; }
};

struct Barrier {
  u32 count = 0; // threads expected, 0 while nobody is here; all for __syncthreads
  u32 arrived = 0;
  u32 waiting = 0; // warps
};

struct Launch {
  const char *name;
  void (*body)(const void *);
  const void *args;
  u32 grid[3], block[3], shared;
  emu_options options;
  u64 blocks, stride, first; // block i in order is (i*stride + first) % blocks
  std::atomic<u64> next{0};
  std::atomic<bool> failed{false};
  std::string error;
};

struct Block : emu_block_view {
  Launch *launch;
  Worker *worker;
  Hopper *hopper = nullptr; // of sm_90a, once the block uses it
  u32 threads, warps;
  u32 ready = 0; // warps with a ready lane
  u32 exited = 0;
  u64 random = 0; // 0: nothing is shuffled
  Barrier barriers[16];
  Warp warp[32];
};

struct Worker {
  Block block;
  std::vector<Thread> threads;
  std::vector<u8 *> stacks, free_stacks;
  void *sp = nullptr; // of the worker itself, while fibers run
  u8 *shared_map = nullptr;
  Hopper *hopper = nullptr;
  u8 *fault_stack = nullptr;
  int fault_signal = 0;
  const void *fault_address = nullptr, *fault_site = nullptr;
  bool fault_write = false;

  Worker();
  void run(Launch *l);
  void run_block(u64 index);
};

inline Thread *self() { return static_cast<Thread *>(emu_self); }

// fail ends the launch with an error that begins with kernel, block and thread. Called on a fiber; it does not return.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// where is a place in a kernel as file:line of each inlined call, innermost first.
std::string where(const void *site);
bool same_place(const void *a, const void *b);

// meet waits until all lanes of mask are here with the same op; the last one runs perform.
void meet(Op op, u32 mask, void *arg, const void *site);
// perform does what lanes have met for (meetings.cpp).
void perform(Warp &w, Op op, u32 lanes);

// Scheduling (schedule.cpp).
void begin_threads(Block &b);
void leave();            // runs another thread; returns when this one is ready again
void wake(Warp &w, u32 lanes);
void block_lanes(Warp &w, u32 lanes);
u32 draw(Block &b);      // a random number, where something is shuffled

// Barriers (barrier.cpp).
void arrive(Warp &w, u32 id, u32 count, bool wait);
void exit_check(Warp &w); // after a lane of w has ended

// Copies (copies.cpp).
void check_copies_at_exit(Thread *t);

// What sm_90a has beyond (hopper.cpp, wgmma.cpp).
bool finish_a_load(Block &b); // one that is under way; false where there is none
void perform_wgmma(Warp &w, Op op);
void check_hopper_at_exit(Block &b); // by the last thread of a block

// in_shared says whether n bytes from p are shared memory of the block of this thread.
bool in_shared(const void *p, size_t n);

// watch makes faults of fibers errors of the launch (fault.cpp).
void watch_faults();
void watch_faults_of_thread(Worker *w);

} // namespace emu

extern "C" void emu_switch(void **save, void *load);
