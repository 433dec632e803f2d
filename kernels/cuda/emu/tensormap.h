// A CUtensorMap of the emulator: what cuTensorMapEncodeTiled writes into those 128 bytes here, and copies by TMA read.
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define EMU_TENSOR_MAP 0x70616d6e65745545ull

typedef struct {
  uint64_t magic; // EMU_TENSOR_MAP
  uint64_t address;
  uint64_t dims[5];    // elements, the innermost first; 1 beyond the rank
  uint64_t strides[4]; // bytes between elements of dimension 1 and up
  uint16_t box[5];     // elements; 1 beyond the rank
  uint8_t rank;        // 1 to 5
  uint8_t elem;        // bytes of an element
  uint8_t swizzle;     // 0, or the bytes of a row within which pieces of 16 are exchanged: 32, 64, 128
  uint8_t pad[27];
} emu_tensor_map;

// emu_encode_tensor_map fills map within the limits that the manual of cuTensorMapEncodeTiled gives; strides has rank-1
// elements. It returns 0, or -1 with the limit that is passed in err.
__attribute__((visibility("default"))) int emu_encode_tensor_map(emu_tensor_map *map, uint32_t elem, uint32_t rank, uint64_t address,
                          const uint64_t *dims, const uint64_t *strides, const uint32_t *box, uint32_t swizzle, char *err, size_t errlen);

#ifdef __cplusplus
}
static_assert(sizeof(emu_tensor_map) == 128, "as large as a CUtensorMap");
#endif
