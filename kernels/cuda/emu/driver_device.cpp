// The emulated driver: devices and contexts.
#include "driver.h"

#include <stdio.h>
#include <string.h>

static bool no_device(int dev) { return dev < 0 || dev >= state().gpus; }

// Figures of the real cards where kernels are chosen or refused by them; the number of multiprocessors is small, as they
// are those of a processor.
static int attribute(int attr) {
  const State &s = state();
  bool large = s.cc == 80 || (s.cc >= 90 && s.cc < 120);
  int optin = s.cc >= 90 && s.cc < 120 ? 227 << 10 : s.cc == 80 ? 163 << 10 : s.cc == 75 ? 64 << 10 : 99 << 10;
  switch (attr) {
  case 1: return 1024;                                  // threads a block
  case 2: case 3: return 1024;                          // block x, y
  case 4: return 64;                                    // block z
  case 5: return 0x7fffffff;                            // grid x
  case 6: case 7: return 65535;                         // grid y, z
  case 8: return 48 << 10;                              // shared memory a block
  case 9: return 64 << 10;                              // constant memory
  case 10: return 32;                                   // warp
  case 11: return 0x7fffffff;                           // pitch
  case 12: return 65536;                                // registers a block
  case 13: return 1000000;                              // clock, kHz
  case 14: return 512;                                  // texture alignment
  case 15: return 1;                                    // copies beside kernels
  case 16: return 8;                                    // multiprocessors
  case 19: return 1;                                    // maps host memory
  case 31: return 1;                                    // kernels beside kernels
  case 36: return 1000000;                              // memory clock, kHz
  case 37: return 256;                                  // bus, bits
  case 38: return 4 << 20;                              // L2
  case 39: return large ? 2048 : s.cc == 75 ? 1024 : 1536; // threads a multiprocessor
  case 40: return 2;                                    // copy engines
  case 41: return 1;                                    // one address space
  case 75: return s.cc / 10;
  case 76: return s.cc % 10;
  case 78: case 79: case 80: return 1;                  // priorities, L1
  case 81: return optin + (1 << 10);                    // shared memory a multiprocessor
  case 82: return 65536;                                // registers a multiprocessor
  case 90: return 1;                                    // preemption
  case 95: return 1;                                    // cooperative launch
  case 97: return optin;                                // shared memory a block that asked for it
  case 99: return 1;                                    // registers host memory
  case 106: return large ? 32 : 16;                     // blocks a multiprocessor
  case 111: return 1 << 10;                             // shared memory kept by the system
  case 120: case 127: return s.cc >= 90;                // clusters, tensor maps
  }
  return 0;
}

API CUresult cuInit(unsigned flags) {
  return call("cuInit", ANYTIME, [&] {
    if (flags != 0) return INVALID_VALUE;
    if (state().gpus <= 0) return NO_DEVICE;
    state().initialized = true;
    return SUCCESS;
  });
}

API CUresult cuDriverGetVersion(int *version) {
  return call("cuDriverGetVersion", ANYTIME, [&] {
    if (!version) return INVALID_VALUE;
    *version = state().version;
    return SUCCESS;
  });
}

API CUresult cuDeviceGetCount(int *count) {
  return call("cuDeviceGetCount", INIT, [&] { return *count = state().gpus, SUCCESS; });
}

API CUresult cuDeviceGet(int *dev, int ordinal) {
  return call("cuDeviceGet", INIT, [&] {
    if (no_device(ordinal)) return INVALID_DEVICE;
    *dev = ordinal;
    return SUCCESS;
  });
}

API CUresult cuDeviceGetName(char *name, int len, int dev) {
  return call("cuDeviceGetName", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    if (!name || len <= 0) return INVALID_VALUE;
    snprintf(name, (size_t)len, "Emulated GPU sm_%d", state().cc);
    return SUCCESS;
  });
}

API CUresult cuDeviceGetUuid_v2(unsigned char uuid[16], int dev) {
  return call("cuDeviceGetUuid", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    memcpy(uuid, "emulated gpu   ", 16);
    uuid[15] = (unsigned char)dev;
    return SUCCESS;
  });
}
API CUresult cuDeviceGetUuid(unsigned char uuid[16], int dev) { return cuDeviceGetUuid_v2(uuid, dev); }

API CUresult cuDeviceGetPCIBusId(char *id, int len, int dev) {
  return call("cuDeviceGetPCIBusId", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    snprintf(id, (size_t)len, "0000:%02x:00.0", dev + 1);
    return SUCCESS;
  });
}

API CUresult cuDeviceGetAttribute(int *value, int attr, int dev) {
  return call("cuDeviceGetAttribute", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    if (!value || attr <= 0) return INVALID_VALUE;
    *value = attr == 33 ? dev + 1 : attribute(attr); // 33: PCI bus
    return SUCCESS;
  });
}

API CUresult cuDeviceComputeCapability(int *major, int *minor, int dev) {
  return call("cuDeviceComputeCapability", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    *major = state().cc / 10, *minor = state().cc % 10;
    return SUCCESS;
  });
}

API CUresult cuDeviceTotalMem_v2(size_t *bytes, int dev) {
  return call("cuDeviceTotalMem", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    *bytes = (size_t)state().memory;
    return SUCCESS;
  });
}

static Context *make(int dev, unsigned flags) {
  auto owned = std::make_unique<Context>();
  Context *c = owned.get();
  c->device = dev;
  c->flags = flags;
  c->legacy = std::make_shared<Stream>(c, true);
  c->per_thread = std::make_shared<Stream>(c, true);
  c->streams[c->per_thread.get()] = c->per_thread;
  state().contexts[c] = std::move(owned);
  return c;
}

API CUresult cuCtxCreate_v2(Context **c, unsigned flags, int dev) {
  return call("cuCtxCreate", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    if (!c) return INVALID_VALUE;
    *c = make(dev, flags);
    current().push_back(*c);
    return SUCCESS;
  });
}

static bool known(Context *c) { return state().contexts.count(c) != 0; }

API CUresult cuCtxDestroy_v2(Context *c) {
  return call("cuCtxDestroy", INIT, [&] {
    if (!c) return INVALID_VALUE;
    if (!known(c) || c->primary) return INVALID_CONTEXT;
    run_all(c);
    leave(c);
    return SUCCESS;
  });
}

API CUresult cuDevicePrimaryCtxRetain(Context **c, int dev) {
  return call("cuDevicePrimaryCtxRetain", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    Context *&p = state().primaries[dev];
    if (!p) p = make(dev, 0);
    p->primary++;
    *c = p;
    return SUCCESS;
  });
}

API CUresult cuDevicePrimaryCtxRelease_v2(int dev) {
  return call("cuDevicePrimaryCtxRelease", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    Context *&p = state().primaries[dev];
    if (!p) return INVALID_CONTEXT;
    if (--p->primary > 0) return SUCCESS;
    run_all(p);
    leave(p);
    p = nullptr;
    return SUCCESS;
  });
}

API CUresult cuDevicePrimaryCtxGetState(int dev, unsigned *flags, int *active) {
  return call("cuDevicePrimaryCtxGetState", INIT, [&] {
    if (no_device(dev)) return INVALID_DEVICE;
    Context *p = state().primaries[dev];
    *flags = p ? p->flags : 0;
    *active = p != nullptr;
    return SUCCESS;
  });
}

API CUresult cuDevicePrimaryCtxSetFlags_v2(int dev, unsigned) {
  return call("cuDevicePrimaryCtxSetFlags", INIT, [&] { return no_device(dev) ? INVALID_DEVICE : SUCCESS; });
}

API CUresult cuCtxSetCurrent(Context *c) {
  return call("cuCtxSetCurrent", INIT, [&] {
    if (c && !known(c)) return INVALID_CONTEXT;
    if (!current().empty()) current().pop_back();
    if (c) current().push_back(c);
    return SUCCESS;
  });
}

API CUresult cuCtxGetCurrent(Context **c) {
  return call("cuCtxGetCurrent", INIT, [&] { return *c = context(), SUCCESS; });
}

API CUresult cuCtxPushCurrent_v2(Context *c) {
  return call("cuCtxPushCurrent", INIT, [&] {
    if (!known(c)) return INVALID_CONTEXT;
    current().push_back(c);
    return SUCCESS;
  });
}

API CUresult cuCtxPopCurrent_v2(Context **c) {
  return call("cuCtxPopCurrent", INIT, [&] {
    if (!context()) return INVALID_CONTEXT;
    if (c) *c = context();
    current().pop_back();
    return SUCCESS;
  });
}

API CUresult cuCtxGetDevice(int *dev) {
  return call("cuCtxGetDevice", CONTEXT, [&] { return *dev = context()->device, SUCCESS; });
}

API CUresult cuCtxGetFlags(unsigned *flags) {
  return call("cuCtxGetFlags", CONTEXT, [&] { return *flags = context()->flags, SUCCESS; });
}

API CUresult cuCtxGetApiVersion(Context *, unsigned *version) {
  return call("cuCtxGetApiVersion", INIT, [&] { return *version = 3020, SUCCESS; }); // that of the _v2 functions
}

API CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  return call("cuCtxGetStreamPriorityRange", CONTEXT, [&] {
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return SUCCESS;
  });
}

API CUresult cuCtxSynchronize() {
  return call("cuCtxSynchronize", CONTEXT | UNCAPTURED, [&] {
    run_all(context());
    return state().sticky;
  });
}
