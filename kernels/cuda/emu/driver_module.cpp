// The emulated driver: modules, functions and launches. Of a module's image only the names and what it is compiled for are
// read; the code is that of libemu.so.
#include "driver.h"
#include "emu_api.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// elf_size is how far the ELF file at p goes.
static size_t elf_size(const char *p) {
  Elf64_Ehdr h;
  memcpy(&h, p, sizeof h);
  size_t end = std::max<size_t>(h.e_shoff + (size_t)h.e_shnum * h.e_shentsize, h.e_phoff + (size_t)h.e_phnum * h.e_phentsize);
  for (int i = 0; i < h.e_shnum; i++) {
    Elf64_Shdr s;
    memcpy(&s, p + h.e_shoff + (size_t)i * h.e_shentsize, sizeof s);
    if (s.sh_type != SHT_NOBITS) end = std::max<size_t>(end, s.sh_offset + s.sh_size);
  }
  return end;
}

// newest_ptx is the version of PTX that a driver of CUDA v understands.
static int newest_ptx(int v) {
  int minor = v % 1000 / 10;
  if (v >= 13000) return 90 + minor;
  if (v < 12000) return 70 + minor;
  static const int of12[] = {80, 81, 82, 83, 84, 85, 85, 86, 87, 88};
  return of12[std::min(minor, 9)];
}

static CUresult read_ptx(Module &m) {
  const char *version = strstr(m.image.c_str(), ".version "), *target = strstr(m.image.c_str(), ".target sm_");
  int major = 0, minor = 0;
  if (!version || !target || sscanf(version, ".version %d.%d", &major, &minor) != 2) return wrong((CUresult)218, "the image is no PTX");
  m.target = atoi(target + 11);
  m.ptx = 10 * major + minor;
  bool exact = target[11 + (m.target < 100 ? 2 : 3)] == 'a';
  if (m.ptx > newest_ptx(state().version))
    return wrong(UNSUPPORTED_PTX_VERSION, "PTX of version %d.%d; the driver's CUDA %d.%d knows it up to %d.%d", major, minor, state().version / 1000,
                 state().version % 1000 / 10, newest_ptx(state().version) / 10, newest_ptx(state().version) % 10);
  if (m.target > state().cc || (exact && m.target != state().cc)) return wrong(NO_BINARY_FOR_GPU, "PTX for sm_%d%s; the GPU is sm_%d", m.target, exact ? "a" : "", state().cc);
  return SUCCESS;
}

static CUresult load(Module **module, const char *image) {
  if (!module || !image) return INVALID_VALUE;
  auto m = std::make_unique<Module>();
  m->context = context();
  if (memcmp(image, ELFMAG, SELFMAG) == 0) {
    Elf64_Ehdr h;
    memcpy(&h, image, sizeof h);
    if (h.e_machine != 190) return wrong(INVALID_IMAGE, "the image is an ELF file for machine %d, not for CUDA's 190", h.e_machine);
    m->image.assign(image, elf_size(image));
    m->target = h.e_flags & 0xff;
    m->ptx = m->target;
    int cc = state().cc;
    if (m->target / 10 != cc / 10 || m->target > cc) return wrong(NO_BINARY_FOR_GPU, "a cubin for sm_%d; the GPU is sm_%d", m->target, cc);
  } else {
    m->image = image;
    if (CUresult r = read_ptx(*m); r != SUCCESS) return r;
  }
  note("%zu", m->image.size());
  *module = m.get();
  context()->modules[*module] = std::move(m);
  return SUCCESS;
}

API CUresult cuModuleLoadData(Module **m, const char *image) {
  return call("cuModuleLoadData", CONTEXT | UNCAPTURED, [&] { return load(m, image); });
}
API CUresult cuModuleLoadDataEx(Module **m, const char *image, unsigned, int *, void **) {
  return call("cuModuleLoadData", CONTEXT | UNCAPTURED, [&] { return load(m, image); });
}

API CUresult cuModuleUnload(Module *m) {
  return call("cuModuleUnload", CONTEXT | UNCAPTURED, [&] {
    if (!context()->modules.count(m)) return INVALID_HANDLE;
    run_all(context());
    context()->modules.erase(m);
    return SUCCESS;
  });
}

API CUresult cuModuleGetLoadingMode(int *mode) {
  return call("cuModuleGetLoadingMode", INIT, [&] {
    const char *v = getenv("CUDA_MODULE_LOADING");
    *mode = v && strcmp(v, "EAGER") == 0 ? 1 : 2;
    return SUCCESS;
  });
}

// has says whether an image has a kernel of that name: a section of an ELF file, or an .entry of PTX.
static bool has(const Module &m, const std::string &name) {
  if (m.image.compare(0, SELFMAG, ELFMAG) == 0) return m.image.find(".text." + name + std::string(1, 0)) != std::string::npos;
  for (size_t at = 0; (at = m.image.find(".entry ", at)) != std::string::npos; at++) {
    size_t from = m.image.find_first_not_of(" \t\n", at + 7), to = m.image.find_first_of("( \t\n", from);
    if (m.image.compare(from, to - from, name) == 0) return true;
  }
  return false;
}

API CUresult cuModuleGetFunction(Function **f, Module *m, const char *name) {
  return call("cuModuleGetFunction", CONTEXT, [&] {
    if (!f || !name || !context()->modules.count(m)) return INVALID_VALUE;
    note("%s", name);
    if (!has(*m, name)) return NOT_FOUND;
    std::unique_ptr<Function> &at = m->functions[name];
    if (!at) {
      size_t args;
      uint32_t threads;
      if (emu_function(name, &args, &threads) != 0) return wrong(NOT_FOUND, "%s is in the image, and not in the emulator: make emu", name);
      at = std::make_unique<Function>();
      at->name = name;
      at->args = args;
      at->threads = threads;
      at->target = m->target;
      at->ptx = m->ptx;
    }
    *f = at.get();
    return SUCCESS;
  });
}

static bool known(Function *f) {
  for (const auto &[handle, m] : context()->modules)
    for (const auto &[name, owned] : m->functions)
      if (owned.get() == f) return true;
  return false;
}

static int most_shared() { // of a block, in bytes
  int cc = state().cc;
  return cc >= 90 && cc < 120 ? 227 << 10 : cc == 80 ? 163 << 10 : cc == 75 ? 64 << 10 : 99 << 10;
}

API CUresult cuFuncSetAttribute(Function *f, int attribute, int value) {
  return call("cuFuncSetAttribute", CONTEXT, [&] {
    if (!known(f)) return INVALID_HANDLE;
    note("%s %d %d", f->name.c_str(), attribute, value);
    if (attribute == 9) return SUCCESS; // a hint of how shared memory and cache are divided
    if (attribute != 8) return INVALID_VALUE;
    if (value < 0 || value > most_shared()) return wrong(INVALID_VALUE, "%s: %d bytes of shared memory; sm_%d has %d", f->name.c_str(), value, state().cc, most_shared());
    f->shared = value;
    return SUCCESS;
  });
}

API CUresult cuFuncGetAttribute(int *value, int attribute, Function *f) {
  return call("cuFuncGetAttribute", CONTEXT, [&] {
    if (!known(f)) return INVALID_HANDLE;
    switch (attribute) {
    case 0: *value = (int)f->threads; break;
    case 1: case 2: case 3: *value = 0; break; // static shared, constant and local memory
    case 4: *value = (int)std::min(255u, 65536 / f->threads); break; // registers
    case 5: *value = f->ptx; break;
    case 6: *value = f->target; break;
    case 8: *value = f->shared; break;
    default: return INVALID_VALUE;
    }
    return SUCCESS;
  });
}

API CUresult cuFuncGetName(const char **name, Function *f) {
  return call("cuFuncGetName", CONTEXT, [&] { return known(f) ? (*name = f->name.c_str(), SUCCESS) : INVALID_HANDLE; });
}

API CUresult cuFuncSetCacheConfig(Function *f, int) {
  return call("cuFuncSetCacheConfig", CONTEXT, [&] { return known(f) ? SUCCESS : INVALID_HANDLE; });
}

// arguments finds the struct of a launch, in whichever of the two ways it comes.
static CUresult arguments(const Function &f, void **params, void **extra, const void **args) {
  if (params && extra) return INVALID_VALUE;
  if (params) return (*args = params[0]) ? SUCCESS : INVALID_VALUE;
  size_t *size = nullptr;
  *args = nullptr;
  for (; extra && extra[0]; extra += 2) {
    if (extra[0] == (void *)1) *args = extra[1];
    else if (extra[0] == (void *)2) size = (size_t *)extra[1];
    else return INVALID_VALUE;
  }
  if (!*args || !size) return wrong(INVALID_VALUE, "%s is launched without arguments", f.name.c_str());
  if (*size != f.args) return wrong(INVALID_VALUE, "%s is launched with %zu bytes of arguments; its struct has %zu", f.name.c_str(), *size, f.args);
  return SUCCESS;
}

static CUresult code(const std::string &why) {
  if (why.find(", out of bounds") != std::string::npos) return ILLEGAL_ADDRESS;
  if (why.find("misaligned") != std::string::npos || why.find("not a multiple of it") != std::string::npos) return MISALIGNED_ADDRESS;
  return LAUNCH_FAILED;
}

static CUresult launch(Function *f, const uint32_t (&grid)[3], const uint32_t (&block)[3], uint32_t shared, Stream *handle, void **params, void **extra) {
  if (!known(f)) return INVALID_HANDLE;
  auto s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  const char *name = f->name.c_str();
  note("%s %u,%u,%u %u,%u,%u %u", name, grid[0], grid[1], grid[2], block[0], block[1], block[2], shared);
  uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
  if (threads == 0 || threads > 1024 || block[0] > 1024 || block[1] > 1024 || block[2] > 64)
    return wrong(INVALID_VALUE, "%s: blocks of %u x %u x %u threads", name, block[0], block[1], block[2]);
  if (threads > f->threads) return wrong(INVALID_VALUE, "%s: blocks of %zu threads; it is for %u at most", name, (size_t)threads, f->threads);
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0 || grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535)
    return wrong(INVALID_VALUE, "%s: a grid of %u x %u x %u blocks", name, grid[0], grid[1], grid[2]);
  if (shared > (uint32_t)f->shared) return wrong(INVALID_VALUE, "%s: %u bytes of shared memory; cuFuncSetAttribute allowed %d", name, shared, f->shared);
  const void *args;
  if (CUresult r = arguments(*f, params, extra, &args); r != SUCCESS) return r;
  auto work = std::make_shared<Work>();
  work->what = f->name;
  std::vector<char> copy((const char *)args, (const char *)args + f->args);
  work->run = [=, func = f->name, copy = std::move(copy)](std::string &why) {
    const State &st = state();
    emu_options o = {};
    o.seed = st.seed;
    o.async = st.async;
    o.cc = st.cc;
    char err[1024];
    if (emu_launch(func.c_str(), grid, block, shared, copy.data(), copy.size(), &o, err, sizeof err) == 0) return SUCCESS;
    why = err;
    return code(why);
  };
  return enqueue(s, work);
}

API CUresult cuLaunchKernel(Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream *s, void **params, void **extra) {
  return call("cuLaunchKernel", CONTEXT, [&] { return launch(f, {gx, gy, gz}, {bx, by, bz}, shared, s, params, extra); });
}

struct LaunchConfig {
  uint32_t grid[3], block[3], shared;
  Stream *stream;
  void *attributes;
  unsigned n;
};

API CUresult cuLaunchKernelEx(const LaunchConfig *c, Function *f, void **params, void **extra) {
  return call("cuLaunchKernelEx", CONTEXT, [&] {
    if (!c) return INVALID_VALUE;
    if (c->n) return NOT_SUPPORTED; // clusters and the like
    return launch(f, c->grid, c->block, c->shared, c->stream, params, extra);
  });
}
