//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(add)
*/
import "C"

import "attune/kernels"

// add computes a + b; y may be either of them.
func add(e *Engine, _ kernels.Kernel, in, out []View, _ []byte) error {
	a, b, y := in[0], in[1], out[0]
	if !y.wanted() {
		return nil
	}
	args := C.struct_add_args{a: a.ptr(), b: b.ptr(), y: y.ptr(), da: C.int(a.Dtype), db: C.int(b.Dtype), dy: C.int(y.Dtype)}
	e.elements(a.elems(), func(lo, hi int) { C.call_add(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}
