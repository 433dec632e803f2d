// Faults of kernels. Buffers end at pages that may not be touched, so an access out of bounds is a signal; here it becomes an
// error of the launch that names kernel, block, thread and line.
#include "core.h"

#include <dlfcn.h>
#include <map>
#include <mutex>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

namespace emu {

static const size_t stack_size = 256 << 10;
static thread_local Worker *mine;
static struct sigaction before[NSIG];

static void landing() {
  Worker &w = *mine;
  std::string place = where((const u8 *)w.fault_site + 1);
  if (w.fault_signal == SIGFPE) fail("divides an integer by zero at %s", place.c_str());
  if (w.fault_signal == SIGILL) fail("stops at %s", place.c_str());
  if (!w.fault_address) fail("a misaligned or wild access at %s", place.c_str());
  fail("%s %p, out of bounds, at %s", w.fault_write ? "writes" : "reads", w.fault_address, place.c_str());
}

static void handler(int signal, siginfo_t *info, void *context) {
  if (mine && emu_self) { // a fiber: go on in landing, on a stack that is whole whatever has happened
    ucontext_t *u = (ucontext_t *)context;
    mine->fault_signal = signal;
    mine->fault_address = info->si_code == SI_KERNEL ? nullptr : info->si_addr;
    mine->fault_site = (const void *)u->uc_mcontext.gregs[REG_RIP];
    mine->fault_write = u->uc_mcontext.gregs[REG_ERR] & 2;
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)landing;
    u->uc_mcontext.gregs[REG_RSP] = (greg_t)(mine->fault_stack + stack_size - 8);
    return;
  }
  const struct sigaction &b = before[signal];
  if (b.sa_flags & SA_SIGINFO) return b.sa_sigaction(signal, info, context);
  if (b.sa_handler != SIG_DFL && b.sa_handler != SIG_IGN) return b.sa_handler(signal);
  sigaction(signal, &b, nullptr); // happens again, without us
}

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

void watch_faults() {
  struct sigaction a = {};
  a.sa_sigaction = handler;
  a.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&a.sa_mask);
  for (int s : signals) sigaction(s, &a, &before[s]);
}

void watch_faults_of_thread(Worker *w) {
  mine = w;
  w->fault_stack = (u8 *)mmap(nullptr, stack_size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t s = {};
  s.ss_sp = w->fault_stack + stack_size;
  s.ss_size = stack_size;
  sigaltstack(&s, nullptr);
  sigset_t all;
  sigfillset(&all);
  for (int n : signals) sigdelset(&all, n);
  pthread_sigmask(SIG_SETMASK, &all, nullptr); // other signals are for the threads of the program
}

std::string where(const void *site) {
  static std::mutex lock;
  static std::map<const void *, std::string> known;
  std::lock_guard<std::mutex> hold(lock);
  std::string &s = known[site];
  if (!s.empty()) return s;
  Dl_info lib;
  s = "?";
  if (!site || !dladdr(site, &lib)) return s;
  char command[4096 + 64], line[512];
  snprintf(command, sizeof command, "addr2line -s -i -e '%s' %#zx 2>/dev/null", lib.dli_fname, (size_t)((const u8 *)site - 1 - (const u8 *)lib.dli_fbase));
  FILE *f = popen(command, "r");
  if (!f) return s;
  std::string all;
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, " \n")] = 0; // after the blank: a discriminator
    if (strncmp(line, "emu.h:", 6) == 0) continue;
    all += (all.empty() ? "" : " in ") + std::string(line);
  }
  pclose(f);
  if (!all.empty()) s = all;
  return s;
}

bool same_place(const void *a, const void *b) { return where(a) == where(b); }

} // namespace emu
