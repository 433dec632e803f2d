//go:build gpu

#include "launch.h"

#include <string.h>

CUresult attune_launch(CUfunction f, const unsigned grid[3], const unsigned block[3], unsigned shared, CUstream s, void *args) {
  void *params[] = {args};
  return cuLaunchKernel(f, grid[0], grid[1], grid[2], block[0], block[1], block[2], shared, s, params, NULL);
}

CUresult attune_graph(CUstream s, CUgraphExec *exec, size_t *nodes) {
  CUgraph graph = NULL;
  CUresult r = cuStreamEndCapture(s, &graph);
  if (r != CUDA_SUCCESS) return r;
  if (!graph) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  r = cuGraphGetNodes(graph, NULL, nodes);
  if (r == CUDA_SUCCESS) r = cuGraphInstantiateWithFlags(exec, graph, 0);
  cuGraphDestroy(graph); // what is executable stays
  if (r != CUDA_SUCCESS) return r;
  r = cuGraphUpload(*exec, s); // else the first launch would take the memory
  if (r != CUDA_SUCCESS) cuGraphExecDestroy(*exec);
  return r;
}

CUresult attune_tensor_maps(void **f) {
  CUdriverProcAddressQueryResult found;
  CUresult r = cuGetProcAddress("cuTensorMapEncodeTiled", f, 12000, CU_GET_PROC_ADDRESS_DEFAULT, &found);
  return r == CUDA_SUCCESS && !*f ? CUDA_ERROR_NOT_SUPPORTED : r;
}

typedef CUresult (*encode)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *, const cuuint64_t *, const cuuint32_t *, const cuuint32_t *,
                           CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

CUresult attune_tensor_map(void *f, void *dst, int dtype, uint64_t address, unsigned rank, const uint64_t *dims, const uint64_t *strides, const uint32_t *box, int swizzle) {
  CUtensorMapSwizzle pattern = swizzle == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
                               : swizzle == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                               : swizzle == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
                                               : CU_TENSOR_MAP_SWIZZLE_NONE;
  cuuint64_t d[5], st[5] = {0};
  cuuint32_t b[5], ones[5];
  if (rank < 1 || rank > 5) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < rank; i++) {
    d[i] = dims[i], b[i] = box[i], ones[i] = 1;
    if (i + 1 < rank) st[i] = strides[i];
  }
  CUtensorMap map; // aligned to 64 bytes, as the driver asks; dst need not be
  CUresult r = ((encode)f)(&map, dtype == 2 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT32, rank, (void *)address, d, st, b, ones,
                           CU_TENSOR_MAP_INTERLEAVE_NONE, pattern, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (r == CUDA_SUCCESS) memcpy(dst, &map, sizeof map);
  return r;
}
