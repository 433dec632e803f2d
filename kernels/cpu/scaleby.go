//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(scaleby)
*/
import "C"

import "attune/kernels"

// scaleBy computes s·x; y may be x.
func scaleBy(e *Engine, _ kernels.Kernel, in, out []View, _ []byte) error {
	x, s, y := in[0], in[1], out[0]
	if !y.wanted() {
		return nil
	}
	args := C.struct_scaleby_args{x: x.ptr(), s: (*C.float)(s.ptr()), y: y.ptr(), dx: C.int(x.Dtype), dy: C.int(y.Dtype)}
	e.elements(x.elems(), func(lo, hi int) { C.call_scaleby(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}
