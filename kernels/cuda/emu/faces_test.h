// What the checks of the emulated driver and of the emulated cuBLASLt share.
#pragma once
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

extern "C" {
typedef uint64_t Ptr;
typedef void *Any;
int cuInit(unsigned), cuDriverGetVersion(int *), cuDeviceGetCount(int *), cuDeviceGet(int *, int), cuDeviceGetAttribute(int *, int, int);
int cuCtxCreate_v2(Any *, unsigned, int), cuCtxDestroy_v2(Any), cuCtxSetCurrent(Any), cuCtxSynchronize(), cuMemGetInfo_v2(size_t *, size_t *);
int cuMemAlloc_v2(Ptr *, size_t), cuMemFree_v2(Ptr), cuMemHostAlloc(void **, size_t, unsigned), cuMemFreeHost(void *);
int cuMemcpyHtoD_v2(Ptr, const void *, size_t), cuMemcpyDtoH_v2(void *, Ptr, size_t), cuMemcpyDtoDAsync_v2(Ptr, Ptr, size_t, Any);
int cuMemcpyHtoDAsync_v2(Ptr, const void *, size_t, Any), cuMemcpyDtoHAsync_v2(void *, Ptr, size_t, Any);
int cuMemsetD8Async(Ptr, unsigned char, size_t, Any), cuMemsetD32Async(Ptr, unsigned, size_t, Any);
int cuStreamCreate(Any *, unsigned), cuStreamDestroy_v2(Any), cuStreamSynchronize(Any), cuStreamWaitEvent(Any, Any, unsigned);
int cuEventCreate(Any *, unsigned), cuEventDestroy_v2(Any), cuEventRecord(Any, Any), cuEventSynchronize(Any), cuEventQuery(Any), cuEventElapsedTime(float *, Any, Any);
int cuModuleLoadData(Any *, const void *), cuModuleGetFunction(Any *, Any, const char *), cuModuleUnload(Any), cuFuncSetAttribute(Any, int, int), cuFuncGetAttribute(int *, int, Any);
int cuLaunchKernel(Any, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Any, void **, void **);
int cuStreamBeginCapture_v2(Any, int), cuStreamEndCapture(Any, Any *), cuStreamIsCapturing(Any, int *);
int cuGraphInstantiateWithFlags(Any *, Any, unsigned long long), cuGraphLaunch(Any, Any), cuGraphDestroy(Any), cuGraphExecDestroy(Any), cuGraphGetNodes(Any, Any *, size_t *);
int cuGetProcAddress_v2(const char *, void **, int, uint64_t, int *), cuGetErrorName(int, const char **);
int cuTensorMapEncodeTiled(void *, int, uint32_t, void *, const uint64_t *, const uint64_t *, const uint32_t *, const uint32_t *, int, int, int, int);
}

inline int wrong;
#define WANT(code, call)                                                                                \
  if (int gave = (call); gave != (code)) printf("line %d: %s gives %d, not %d\n", __LINE__, #call, gave, code), wrong++;
#define TRUE(what) \
  if (!(what)) printf("line %d: not %s\n", __LINE__, #what), wrong++;

inline Any context;
inline void open() {
  WANT(0, cuInit(0))
  WANT(0, cuCtxCreate_v2(&context, 0, 0))
}

inline Ptr device(size_t bytes) {
  Ptr p = 0;
  WANT(0, cuMemAlloc_v2(&p, bytes))
  return p;
}

inline Any stream(unsigned flags = 1) {
  Any s = nullptr;
  WANT(0, cuStreamCreate(&s, flags))
  return s;
}

inline float *pinned(size_t n) {
  void *p = nullptr;
  WANT(0, cuMemHostAlloc(&p, n * 4, 0))
  return (float *)p;
}

inline float fetch(Ptr p) {
  float f = 0;
  WANT(0, cuMemcpyDtoH_v2(&f, p, 4))
  return f;
}

void products(); // lt_test.cpp
