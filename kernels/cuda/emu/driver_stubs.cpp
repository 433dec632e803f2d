// The emulated driver: functions that it does not have. They are weak: those of the other files take their place.
#include "driver.h"

__attribute__((noinline)) static CUresult missing(const char *name) {
  return call(name, ANYTIME, [=] { return wrong(NOT_SUPPORTED, "%s is not in the emulator", name); });
}

#define NAME(function) \
  API __attribute__((weak)) CUresult function() { return missing(#function); }
#include "driver_names.def"
