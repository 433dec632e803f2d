//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(rope)
*/
import "C"

import (
	"unsafe"

	"attune/kernels"
)

// rope is done token by token, the angles' functions once for all heads; y may be x.
func rope(e *Engine, k kernels.Kernel, in, out []View, _ []byte) error {
	r, x, positions, y := k.(kernels.RoPE), in[0], in[1], out[0]
	if !y.wanted() {
		return nil
	}
	if len(r.InvFreq) > C.ROPE_MAX {
		return errDecline
	}
	args := C.struct_rope_args{x: x.ptr(), positions: (*C.int32_t)(positions.ptr()), y: y.ptr(),
		inv_freq: (*C.double)(unsafe.SliceData(r.InvFreq)), scale: C.double(r.Scale),
		heads: C.int64_t(x.Shape[1]), half: C.int64_t(len(r.InvFreq)), dx: C.int(x.Dtype), dy: C.int(y.Dtype)}
	if r.Inverse {
		args.inverse = 1
	}
	e.chunks(x.Shape[0], 32, func(_, lo, hi int) { C.call_rope(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}
