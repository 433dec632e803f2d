// The emulated driver: its settings, what happens at every call, and what a context leaves behind.
#include "driver.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

State &state() {
  static State *s = new State; // never destroyed: calls may come while the program ends
  return *s;
}

std::vector<Context *> &current() {
  static thread_local std::vector<Context *> stack;
  return stack;
}

Context *context() {
  std::vector<Context *> &stack = current();
  while (!stack.empty() && !state().contexts.count(stack.back())) stack.pop_back();
  return stack.empty() ? nullptr : stack.back();
}

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int64_t number(const char *name, int64_t otherwise) {
  const char *v = getenv(name);
  return v && *v ? strtoll(v, nullptr, 0) : otherwise;
}

// The settings are read once, by the first call of any function.
static void settings() {
  static bool read = false;
  if (read) return;
  read = true;
  State &s = state();
  s.gpus = (int)number("ATTUNE_EMU_GPUS", 1);
  s.cc = (int)number("ATTUNE_EMU_CC", 90);
  s.version = (int)number("ATTUNE_EMU_DRIVER", 12090);
  s.memory = number("ATTUNE_EMU_MEMORY", (int64_t)2 << 30);
  s.seed = (uint64_t)number("ATTUNE_EMU_SEED", 0);
  s.async = number("ATTUNE_EMU_ASYNC", 0) != 0;
  s.leaks = number("ATTUNE_EMU_LEAKS", 0) != 0;
  if (const char *path = getenv("ATTUNE_EMU_LOG"); path && *path) s.log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const char *fails = getenv("ATTUNE_EMU_FAIL");
  for (std::string all = fails ? fails : ""; !all.empty();) {
    std::string one = all.substr(0, all.find(','));
    all.erase(0, one.size() + 1);
    Failure f{one.substr(0, one.find(':')), 1, UNKNOWN};
    if (f.function.find("Alloc") != std::string::npos) f.code = OUT_OF_MEMORY;
    sscanf(one.c_str() + f.function.size(), ":%ld:%d", &f.at, &f.code);
    s.failures.push_back(f);
  }
}

void note(const char *format, ...) {
  char line[256];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  state().detail += " ";
  state().detail += line;
}

static void say(const std::string &line) {
  State &s = state();
  std::string text = "emulator: " + line + "\n";
  if (write(2, text.data(), text.size()) < 0) return;
  if (s.log >= 0 && write(s.log, text.data(), text.size()) < 0) s.log = -1;
}

CUresult wrong(CUresult r, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  static int said = 0;
  if (++said <= 50) say(line); // a loop that goes on wrongly need not fill the disk
  return r;
}

void fail(CUresult r, const std::string &why) {
  if (state().sticky != SUCCESS) return;
  state().sticky = r;
  say(why);
}

CUresult before(const char *name, int needs) {
  settings();
  State &s = state();
  s.detail.clear();
  long n = ++s.calls[name];
  for (const Failure &f : s.failures)
    if (f.function == name && f.at == n) {
      if (f.code >= ILLEGAL_ADDRESS && f.code <= LAUNCH_FAILED) fail((CUresult)f.code, std::string(name) + " was to fail");
      return (CUresult)f.code;
    }
  if ((needs & (INIT | CONTEXT)) && !s.initialized) return NOT_INITIALIZED;
  if (needs & CONTEXT) {
    if (!context()) return INVALID_CONTEXT;
    if (s.sticky != SUCCESS) return s.sticky;
  }
  if ((needs & UNCAPTURED) && capturing_here()) {
    spoil(nullptr, STREAM_CAPTURE_UNSUPPORTED);
    return wrong(STREAM_CAPTURE_UNSUPPORTED, "%s while a stream is captured", name);
  }
  return SUCCESS;
}

CUresult after(const char *name, CUresult r) {
  State &s = state();
  if (s.log < 0) return r;
  std::string line = std::string(name) + " " + std::to_string(r) + s.detail + "\n";
  if (write(s.log, line.data(), line.size()) < 0) s.log = -1;
  return r;
}

// leaked counts what a context still has.
static void leaked(Context *c, const char *when) {
  size_t device = 0, device_bytes = 0, host = 0, host_bytes = 0;
  for (const auto &[at, m] : state().memories) {
    if (m.context != c) continue;
    (m.kind == DEVICE ? device : host)++;
    (m.kind == DEVICE ? device_bytes : host_bytes) += m.bytes;
  }
  std::string line;
  auto count = [&](size_t n, const char *of, size_t bytes) {
    if (n == 0) return;
    line += (line.empty() ? "" : ", ") + std::to_string(n) + " " + of;
    if (bytes) line += " (" + std::to_string(bytes) + " bytes)";
  };
  count(device, "device allocations", device_bytes);
  count(host, "host allocations", host_bytes);
  count(c->streams.size() - 1, "streams", 0); // one is the context's own
  count(c->events.size(), "events", 0);
  count(c->modules.size(), "modules", 0);
  count(c->graphs.size(), "graphs", 0);
  count(c->execs.size(), "executable graphs", 0);
  if (!line.empty() && state().leaks) say(std::string("not freed when ") + when + ": " + line);
}

void leave(Context *c) {
  State &s = state();
  leaked(c, "its context was destroyed");
  for (auto m = s.memories.begin(); m != s.memories.end();) {
    auto next = std::next(m);
    if (m->second.context == c) release(m);
    m = next;
  }
  s.contexts.erase(c);
  if (s.contexts.empty()) s.sticky = SUCCESS; // a new context begins anew
}

// What is left at the end of a program that ends by exit; Go's do not.
__attribute__((destructor)) static void end() {
  for (const auto &[c, owned] : state().contexts) leaked(c, "the program ended");
}
