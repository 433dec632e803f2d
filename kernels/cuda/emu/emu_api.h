// What libemu.so offers to its callers: the tests (kernels/cuda/emutest) and the emulated driver. Device memory is the
// process's own memory: a device pointer is a pointer.
#pragma once
#include <stddef.h>
#include <stdint.h>
#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  uint64_t seed;    // 0: blocks, warps and lanes in order; else shuffled by it wherever the GPU promises no order
  int32_t async;    // 1: asynchronous copies and products happen as late as the program allows; 0: at once
  int32_t threads;  // of the processor; 0: as many as it has
  int32_t cc;       // compute capability, for its limits: 80, 86, 89, 90
} emu_options;

// emu_launch runs a kernel to its end. args is its struct, of args_bytes bytes. It returns 0, or -1 with a sentence in err
// that names kernel, block and thread: an access out of bounds, threads that do not meet, a wrong size of args and so on.
int emu_launch(const char *func, const uint32_t grid[3], const uint32_t block[3], uint32_t shared, const void *args,
               size_t args_bytes, const emu_options *options, char *err, size_t errlen);

// emu_function is the size of a kernel's struct and the most threads a block of it may have; -1 if there is no such kernel.
int emu_function(const char *func, size_t *args_bytes, uint32_t *most_threads);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
