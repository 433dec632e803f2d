// What libcuda.so.1 of the emulator offers to libcublasLt.so.12 beside it, and no real driver has.
#pragma once
#include <stddef.h>
#include <stdint.h>
extern "C" {
// emu_call begins a call of a function: it is counted and logged with detail, and may be made to fail (ATTUNE_EMU_FAIL):
// then its code, else 0.
int emu_call(const char *name, const char *detail);
// emu_complain says on stderr what is wrong with a call.
void emu_complain(const char *text);
// emu_is_device says whether n bytes at p are of one allocation of the device.
int emu_is_device(uint64_t p, size_t n);
// emu_enqueue gives a stream of the current context work: run, any number of times, and drop at last. It returns a CUresult.
int emu_enqueue(void *stream, const char *what, void (*run)(void *), void *arg, void (*drop)(void *));
// emu_leaks is whether ATTUNE_EMU_LEAKS is set.
int emu_leaks();
}
