// What gorgonia.org/cu lacks of the driver: launches with one struct by value, captures, graphs, page-locked memory, tensor
// maps. All return a CUresult.
#pragma once
#include <cuda.h>
#include <stddef.h>
#include <stdint.h>

// attune_launch queues a function whose one parameter is the struct at args, which is copied before it returns. How long it is
// and where it goes the driver knows from the function: a struct that holds tensor maps begins at a multiple of 64 bytes of
// constant memory, which is 48 bytes into what a launch by a packed buffer would fill.
CUresult attune_launch(CUfunction f, const unsigned grid[3], const unsigned block[3], unsigned shared, CUstream s, void *args);

// attune_graph ends the capture of s and makes an executable graph of it, with its memory on the device. nodes is how many
// launches it has.
CUresult attune_graph(CUstream s, CUgraphExec *exec, size_t *nodes);

// attune_tensor_maps gives the driver's function for tensor maps. It is asked for at run time: were it linked to, drivers
// without it could not start a program that needs it on Hopper only.
CUresult attune_tensor_maps(void **function);

// attune_tensor_map writes a CUtensorMap by that function, for a tensor of a rank up to 5 whose elements take dtype bytes:
// 4 (float32) or 2 (bfloat16).
CUresult attune_tensor_map(void *function, void *dst, int dtype, uint64_t address, unsigned rank, const uint64_t *dims, const uint64_t *strides, const uint32_t *box,
                           int swizzle);
