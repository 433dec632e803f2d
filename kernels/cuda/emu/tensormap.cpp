// Encoding of tensor maps, with the checks of the driver.
#include "tensormap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int refuse(char *err, size_t errlen, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(err, errlen, format, args);
  va_end(args);
  return -1;
}

extern "C" int emu_encode_tensor_map(emu_tensor_map *map, uint32_t elem, uint32_t rank, uint64_t address, const uint64_t *dims,
                                     const uint64_t *strides, const uint32_t *box, uint32_t swizzle, char *err, size_t errlen) {
  if ((uintptr_t)map % 64) return refuse(err, errlen, "tensor map: it lies at %p, not at a multiple of 64", (void *)map);
  if (rank < 1 || rank > 5) return refuse(err, errlen, "tensor map: %u dimensions; 1 to 5 are possible", rank);
  if (elem != 1 && elem != 2 && elem != 4 && elem != 8) return refuse(err, errlen, "tensor map: elements of %u bytes", elem);
  if (address == 0 || address % 16) return refuse(err, errlen, "tensor map: the tensor begins at %#llx, not at a multiple of 16", (unsigned long long)address);
  if (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128) return refuse(err, errlen, "tensor map: a swizzle of %u bytes", swizzle);
  emu_tensor_map m;
  memset(&m, 0, sizeof m);
  m.magic = EMU_TENSOR_MAP;
  m.address = address;
  m.rank = (uint8_t)rank;
  m.elem = (uint8_t)elem;
  m.swizzle = (uint8_t)swizzle;
  for (uint32_t i = 0; i < 5; i++) m.dims[i] = m.box[i] = 1;
  for (uint32_t i = 0; i < rank; i++) {
    if (dims[i] == 0 || dims[i] > (uint64_t)1 << 32) return refuse(err, errlen, "tensor map: %llu elements in dimension %u; 1 to 2^32 are possible", (unsigned long long)dims[i], i);
    if (box[i] == 0 || box[i] > 256) return refuse(err, errlen, "tensor map: a box of %u elements in dimension %u; 1 to 256 are possible", box[i], i);
    m.dims[i] = dims[i];
    m.box[i] = (uint16_t)box[i];
  }
  for (uint32_t i = 0; i + 1 < rank; i++) {
    if (strides[i] % 16 || strides[i] >= (uint64_t)1 << 40)
      return refuse(err, errlen, "tensor map: %llu bytes between elements of dimension %u; a multiple of 16 below 2^40 is needed", (unsigned long long)strides[i], i + 1);
    m.strides[i] = strides[i];
  }
  uint32_t row = box[0] * elem;
  if (row % 16) return refuse(err, errlen, "tensor map: rows of the box have %u bytes, not a multiple of 16", row);
  if (swizzle && row > swizzle) return refuse(err, errlen, "tensor map: rows of the box have %u bytes; a swizzle of %u bytes allows as many", row, swizzle);
  *map = m;
  return 0;
}
