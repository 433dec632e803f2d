// Fibers: a thread of the GPU has a stack of its own once it has to wait, and gives it on to the next thread when it ends.
// A switch is a few pushes and pops; swapcontext would make a system call each time.
#include "core.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

thread_local emu_thread_view *emu_self;

// It returns, and does not jump: fibers mostly wait at the same place, so the processor predicts the returns rightly.
extern "C" __attribute__((naked, noinline)) void emu_switch(void **, void *) {
  asm(R"(
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
)");
}

namespace emu {

static const size_t stack_size = 128 << 10, page = 4096;

static u8 *take_stack(Worker &w) {
  if (w.free_stacks.empty()) {
    u8 *map = (u8 *)mmap(nullptr, stack_size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) fail("no memory for the stack of a thread");
    mprotect(map, page, PROT_NONE);
    // Tops at different offsets, as the first-level cache has few places for addresses that are equal but for high bits.
    w.stacks.push_back(map);
    w.free_stacks.push_back(map + page + stack_size - (w.stacks.size() % 16) * 448);
  }
  u8 *top = w.free_stacks.back();
  w.free_stacks.pop_back();
  return top;
}

// splitmix64.
u32 draw(Block &b) {
  u64 z = b.random += 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  b.random += b.random == 0; // 0 is: nothing is shuffled
  return (u32)(z >> 32);
}

static void reorder(Warp &w) {
  if (w.block->random == 0) return;
  u32 r = draw(*w.block);
  w.step = r | 1;
  w.start = r >> 8;
}

void wake(Warp &w, u32 lanes) {
  w.ready |= lanes;
  if (lanes) w.block->ready |= 1u << w.index;
}

void block_lanes(Warp &w, u32 lanes) {
  w.ready &= ~lanes;
  if (!w.ready) w.block->ready &= ~(1u << w.index);
}

// pick is the thread to run next: of the same warp while it has ready ones, or now and then, where orders are shuffled, of
// another. Where nobody can go on, a load that is under way ends: that is as late as it may.
static Thread *pick(Warp *w) {
  Block &b = *w->block;
  if (!w->ready || (b.random && draw(b) % 8 == 0)) {
    while (!b.ready)
      if (!finish_a_load(b)) return nullptr;
    u32 from = (b.random ? draw(b) : w->index) & 31;
    u32 later = b.ready & ~((2u << from) - 1);
    w = &b.warp[__builtin_ctz(later ? later : b.ready)];
    reorder(*w);
  }
  for (;;) {
    w->at = (w->at + 1) & 31;
    u32 lane = (w->at * w->step + w->start) & 31;
    if (w->ready >> lane & 1) return &w->lanes[lane];
  }
}

[[noreturn]] static void deadlock(Block &b);

// fiber runs one thread after the other, as long as the next one has not begun.
static void fiber() {
  for (;;) {
    Thread *t = self();
    Launch *l = t->warp->block->launch;
    l->body(l->args);
    t = self();
    Warp &w = *t->warp;
    Block &b = *w.block;
    check_copies_at_exit(t);
    u32 bit = 1u << t->lane;
    w.exited |= bit;
    block_lanes(w, bit);
    b.exited++;
    if (w.waiting || w.live() == 0) exit_check(w);
    if (b.exited == b.threads) check_hopper_at_exit(b);
    Thread *next = pick(&w);
    if (!next) {
      if (b.exited < b.threads) deadlock(b);
      emu_self = nullptr;
      b.worker->free_stacks.push_back(t->stack);
      void *unused;
      emu_switch(&unused, b.worker->sp);
    }
    emu_self = next;
    if (next->warp->fresh >> next->lane & 1) {
      next->warp->fresh &= ~(1u << next->lane);
      next->stack = t->stack;
      continue;
    }
    b.worker->free_stacks.push_back(t->stack);
    void *unused;
    emu_switch(&unused, next->sp);
  }
}

// start is the saved state of a fiber that begins.
static void *start(u8 *top) {
  void **sp = (void **)((uintptr_t)top & ~(uintptr_t)15);
  *--sp = nullptr;          // the return address of fiber, which does not return
  *--sp = (void *)fiber;
  for (int i = 0; i < 6; i++) *--sp = nullptr;
  return sp;
}

static void go(void **save, Thread *next) {
  emu_self = next;
  Warp &w = *next->warp;
  if (w.fresh >> next->lane & 1) {
    w.fresh &= ~(1u << next->lane);
    next->stack = take_stack(*w.block->worker);
    next->sp = start(next->stack);
  }
  emu_switch(save, next->sp);
}

void leave() {
  Thread *t = self();
  Thread *next = pick(t->warp);
  if (next == t) return;
  if (!next) deadlock(*t->warp->block);
  go(&t->sp, next);
}

void begin_threads(Block &b) {
  Worker &k = *b.worker;
  b.warps = (b.threads + 31) / 32;
  b.ready = b.warps == 32 ? ~0u : (1u << b.warps) - 1;
  b.exited = 0;
  b.hopper = nullptr;
  for (auto &x : b.barriers) x = Barrier();
  if (k.threads.size() < b.threads) k.threads.resize(b.threads);
  for (u32 i = 0; i < b.threads; i++) {
    Thread &t = k.threads[i];
    t.thread_idx = {i % b.block_dim.x, i / b.block_dim.x % b.block_dim.y, i / (b.block_dim.x * b.block_dim.y)};
    t.lane = i % 32;
    t.in = &b;
    t.warp = &b.warp[i / 32];
    t.op = Op::none;
    t.group = 0;
    t.copies.clear();
  }
  for (u32 i = 0; i < b.warps; i++) {
    Warp w;
    w.block = &b;
    w.index = i;
    w.lanes = &k.threads[i * 32];
    u32 n = b.threads - i * 32;
    w.all = w.ready = w.fresh = n >= 32 ? ~0u : (1u << n) - 1;
    w.at = 31;
    b.warp[i] = w;
    reorder(b.warp[i]);
  }
  Warp *first = &b.warp[b.random ? draw(b) % b.warps : 0];
  go(&k.sp, pick(first));
}

static void abandon(Block &b, const std::string &what) {
  Launch *l = b.launch;
  if (!l->failed.exchange(true)) l->error = what;
  Worker &k = *b.worker;
  k.free_stacks.clear(); // fibers are left where they are
  for (size_t i = 0; i < k.stacks.size(); i++) k.free_stacks.push_back(k.stacks[i] + page + stack_size - ((i + 1) % 16) * 448);
  emu_self = nullptr;
  void *unused;
  emu_switch(&unused, k.sp);
  __builtin_unreachable();
}

static std::string at_block(const Block &b) {
  char s[256];
  snprintf(s, sizeof s, "%s: block (%u,%u,%u)", b.launch->name, b.block_idx.x, b.block_idx.y, b.block_idx.z);
  return s;
}

void fail(const char *format, ...) {
  Thread *t = self();
  Block &b = *t->warp->block;
  char s[1024], who[64];
  va_list v;
  va_start(v, format);
  vsnprintf(s, sizeof s, format, v);
  va_end(v);
  snprintf(who, sizeof who, ", warp %u, thread (%u,%u,%u): ", t->warp->index, t->thread_idx.x, t->thread_idx.y, t->thread_idx.z);
  abandon(b, at_block(b) + who + s);
  __builtin_unreachable();
}

// deadlock says where the threads of a block wait for each other: per warp and place one line.
static void deadlock(Block &b) {
  std::string s = at_block(b) + ": threads wait for each other:";
  int lines = 0;
  for (u32 i = 0; i < b.warps && lines < 8; i++) {
    Warp &w = b.warp[i];
    if (w.exited && w.live()) {
      char e[64];
      snprintf(e, sizeof e, " warp %u lanes %#x have ended;", i, w.exited);
      s += e;
    }
    for (u32 left = w.live(); left && lines < 8; lines++) {
      Thread &t = w.lanes[__builtin_ctz(left)];
      u32 with = 0;
      for (u32 j = 0; j < 32; j++)
        if (left >> j & 1 && w.lanes[j].op == t.op && w.lanes[j].site == t.site) with |= 1u << j;
      left &= ~with;
      char e[128];
      snprintf(e, sizeof e, " warp %u lanes %#x at %s at ", i, with, name_of(t.op));
      s += e + where(t.site) + ";";
    }
  }
  abandon(b, s);
  __builtin_unreachable();
}

} // namespace emu
