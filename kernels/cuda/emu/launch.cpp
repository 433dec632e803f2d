// Launches: finds the kernel, checks what the driver would check, and has the workers run its blocks.
#include "core.h"

#include <condition_variable>
#include <dirent.h>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <stdio.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace emu {

struct Kernel {
  size_t args_bytes;
  u32 threads;
  void (*body)(const void *);
  std::string file;
};

static std::map<std::string, Kernel> &registry() {
  static std::map<std::string, Kernel> all;
  return all;
}
static std::string broken; // libraries that did not load, or names that stand twice

// load opens every library in the folder kernels beside this one; their constructors register what they have.
static void load() {
  Dl_info me;
  if (!dladdr((void *)load, &me)) return;
  std::string dir = me.dli_fname;
  dir = dir.substr(0, dir.rfind('/') + 1) + "kernels/";
  DIR *d = opendir(dir.c_str());
  if (!d) {
    broken = "no folder " + dir;
    return;
  }
  while (struct dirent *e = readdir(d)) {
    std::string name = e->d_name;
    if (name.size() < 4 || name.substr(name.size() - 3) != ".so") continue;
    if (!dlopen((dir + name).c_str(), RTLD_NOW | RTLD_LOCAL)) broken += std::string(dlerror()) + "; ";
  }
  closedir(d);
}

static const Kernel *find(const char *name) {
  static std::once_flag once;
  std::call_once(once, load);
  auto k = registry().find(name);
  return k == registry().end() ? nullptr : &k->second;
}

static const size_t shared_most = 256 << 10, page = 4096, shared_align = 1024;

Worker::Worker() {
  shared_map = (u8 *)mmap(nullptr, shared_most + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(shared_map + shared_most, page, PROT_NONE);
}

void Worker::run(Launch *l) {
  block.launch = l;
  block.worker = this;
  block.block_dim = {l->block[0], l->block[1], l->block[2]};
  block.grid_dim = {l->grid[0], l->grid[1], l->grid[2]};
  block.threads = l->block[0] * l->block[1] * l->block[2];
  for (;;) {
    u64 i = l->next.fetch_add(1);
    if (i >= l->blocks || l->failed) return;
    run_block((u64)(((unsigned __int128)i * l->stride + l->first) % l->blocks));
  }
}

// Shared memory ends at a page that may not be touched, up to its alignment; what is around it must stay as it was.
void Worker::run_block(u64 i) {
  Launch *l = block.launch;
  size_t rounded = (l->shared + shared_align - 1) / shared_align * shared_align;
  u8 *base = shared_map + shared_most - rounded, *end = shared_map + shared_most;
  if (rounded < shared_most) base[-1] = 0xff;
  memset(base, 0xff, rounded);
  block.shared = base;
  block.block_idx = {(u32)(i % l->grid[0]), (u32)(i / l->grid[0] % l->grid[1]), (u32)(i / l->grid[0] / l->grid[1])};
  block.random = l->options.seed == 0 ? 0 : (l->options.seed * 0x2545f4914f6cdd1dull ^ i * 0xd6e8feb86659fd93ull) | 1;
  begin_threads(block);
  if (l->failed) return;
  bool touched = rounded < shared_most && base[-1] != 0xff;
  for (u8 *p = base + l->shared; p < end; p++) touched |= *p != 0xff;
  if (touched && !l->failed.exchange(true)) {
    char s[256];
    snprintf(s, sizeof s, "%s: block (%u,%u,%u) writes outside of its %u bytes of shared memory", l->name, block.block_idx.x, block.block_idx.y, block.block_idx.z, l->shared);
    l->error = s;
  }
}

// Pool is the workers' threads; they wait for the next launch for as long as the process lives.
struct Pool {
  std::mutex lock, one; // one: launches do not overlap
  std::condition_variable begin, done;
  Launch *launch = nullptr;
  u64 round = 0;
  int wanted = 0, running = 0, threads = 0;

  void work(int me) {
    Worker w;
    watch_faults_of_thread(&w);
    u64 seen = 0;
    std::unique_lock<std::mutex> hold(lock);
    for (;;) {
      begin.wait(hold, [&] { return round != seen && (seen = round, me < wanted); });
      Launch *l = launch;
      hold.unlock();
      w.run(l);
      hold.lock();
      if (--running == 0) done.notify_all();
    }
  }

  void run(Launch &l, int n) {
    std::lock_guard<std::mutex> alone(one);
    std::unique_lock<std::mutex> hold(lock);
    if (threads == 0) watch_faults();
    for (; threads < n; threads++) std::thread([this, me = threads] { work(me); }).detach();
    launch = &l;
    wanted = running = n;
    round++;
    begin.notify_all();
    done.wait(hold, [&] { return running == 0; });
    launch = nullptr;
  }
};

static Pool &pool() {
  static Pool *p = new Pool; // never freed: its threads may outlive main
  return *p;
}

static u64 common_divisor(u64 a, u64 b) {
  while (b) {
    u64 r = a % b;
    a = b;
    b = r;
  }
  return a;
}

static std::string check(const Kernel *k, const Launch &l, size_t args_bytes) {
  char s[512];
  s[0] = 0;
  u64 threads = (u64)l.block[0] * l.block[1] * l.block[2];
  u32 most = l.options.cc >= 90 && l.options.cc < 120 ? 227 << 10 : l.options.cc == 80 ? 163 << 10 : 99 << 10;
  if (!k) snprintf(s, sizeof s, "no such kernel in the emulator (make emu builds them) %s", broken.c_str());
  else if (args_bytes != k->args_bytes) snprintf(s, sizeof s, "%zu bytes of arguments; its struct in %s has %zu", args_bytes, k->file.c_str(), k->args_bytes);
  else if (threads == 0 || threads > k->threads) snprintf(s, sizeof s, "blocks of %llu threads; it is for 1 to %u", (unsigned long long)threads, k->threads);
  else if (l.blocks == 0 || l.grid[0] > 0x7fffffffu || l.grid[1] > 65535 || l.grid[2] > 65535) snprintf(s, sizeof s, "grid of %u x %u x %u blocks", l.grid[0], l.grid[1], l.grid[2]);
  else if (l.shared > most) snprintf(s, sizeof s, "%u bytes of shared memory; compute capability %d has %u", l.shared, l.options.cc, most);
  return s;
}

} // namespace emu

using namespace emu;

extern "C" {

void emu_register(const char *name, size_t args_bytes, u32 threads, void (*body)(const void *), const char *file) {
  if (registry().count(name)) broken += std::string(name) + " stands in " + registry()[name].file + " and in " + file + "; ";
  registry()[name] = Kernel{args_bytes, threads, body, file};
}

int emu_function(const char *func, size_t *args_bytes, u32 *most_threads) {
  const Kernel *k = find(func);
  if (!k) return -1;
  *args_bytes = k->args_bytes;
  *most_threads = k->threads;
  return 0;
}

int emu_launch(const char *func, const u32 grid[3], const u32 block[3], u32 shared, const void *args, size_t args_bytes,
               const emu_options *options, char *err, size_t errlen) {
  const Kernel *k = find(func);
  Launch l;
  l.name = func;
  memcpy(l.grid, grid, sizeof l.grid);
  memcpy(l.block, block, sizeof l.block);
  l.shared = shared;
  l.options = *options;
  l.blocks = (u64)grid[0] * grid[1] * grid[2];
  std::string wrong = check(k, l, args_bytes);
  if (!wrong.empty()) {
    snprintf(err, errlen, "%s: %s", func, wrong.c_str());
    return -1;
  }
  l.body = k->body;
  std::vector<u8> copy(args_bytes + 64); // as the GPU has it: a copy, here at a multiple of 64 for tensor maps
  u8 *at = (u8 *)(((uintptr_t)copy.data() + 63) & ~(uintptr_t)63);
  memcpy(at, args, args_bytes);
  l.args = at;
  l.stride = 1;
  l.first = 0;
  if (options->seed && l.blocks > 1) {
    u64 r = options->seed * 0x9e3779b97f4a7c15ull;
    l.first = r % l.blocks;
    l.stride = (r >> 20) % l.blocks;
    while (common_divisor(l.stride, l.blocks) != 1) l.stride++;
  }
  int n = options->threads > 0 ? options->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
  if ((u64)n > l.blocks) n = (int)l.blocks;
  pool().run(l, n < 1 ? 1 : n > 64 ? 64 : n);
  if (!l.failed) return 0;
  snprintf(err, errlen, "%s", l.error.c_str());
  return -1;
}
}
