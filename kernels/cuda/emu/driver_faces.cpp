// The emulated driver: what it offers to the emulated cuBLASLt.
#include "driver.h"
#include "faces.h"

#define FACE extern "C" __attribute__((visibility("default")))

FACE int emu_call(const char *name, const char *detail) {
  return call(name, ANYTIME, [&] {
    if (*detail) note("%s", detail);
    return SUCCESS;
  });
}

FACE void emu_complain(const char *text) {
  std::lock_guard<std::recursive_mutex> hold(state().lock);
  wrong(SUCCESS, "%s", text);
}

FACE int emu_is_device(uint64_t p, size_t n) {
  std::lock_guard<std::recursive_mutex> hold(state().lock);
  return is_device(p, n);
}

FACE int emu_enqueue(void *stream, const char *what, void (*run)(void *), void *arg, void (*drop)(void *)) {
  std::shared_ptr<void> owned(arg, drop);
  std::lock_guard<std::recursive_mutex> hold(state().lock);
  if (!context()) return INVALID_CONTEXT;
  if (state().sticky != SUCCESS) return state().sticky;
  auto s = find_stream((Stream *)stream);
  if (!s) return INVALID_HANDLE;
  auto work = std::make_shared<Work>();
  work->what = what;
  work->run = [owned, run](std::string &) { return run(owned.get()), SUCCESS; };
  return enqueue(s, work);
}

FACE int emu_leaks() {
  std::lock_guard<std::recursive_mutex> hold(state().lock);
  return state().leaks;
}
