//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(sumsq)
*/
import "C"

import (
	"unsafe"

	"attune/kernels"
)

func sumSqBlocks(x View) int { return (x.elems() + C.SUMSQ_BLOCK - 1) / C.SUMSQ_BLOCK }

func sumSqScratch(_ *Engine, _ kernels.Kernel, in, _ []View) int64 {
	return scratchSize(8 * int64(sumSqBlocks(in[0])))
}

// sumSq adds the squares of blocks of fixed size, and then the blocks in order.
func sumSq(e *Engine, _ kernels.Kernel, in, out []View, scratch []byte) error {
	x, s := in[0], out[0]
	if !s.wanted() {
		return nil
	}
	blocks := sumSqBlocks(x)
	mem := carve(&scratch, 8*int64(blocks))
	partial := unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(mem))), blocks)
	args := C.struct_sumsq_args{x: x.ptr(), partial: (*C.double)(unsafe.SliceData(partial)), n: C.int64_t(x.elems()), dx: C.int(x.Dtype)}
	e.parallel(blocks, func(_, i int) { C.call_sumsq(e.tuned, args, C.int64_t(i), C.int64_t(i+1)) })
	var sum float64
	for _, p := range partial {
		sum += p
	}
	s.f32()[0] = float32(sum)
	return nil
}
