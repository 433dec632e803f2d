//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(rows)
*/
import "C"

import "attune/kernels"

// pickRows is rows and embed: y[n] = x[index[n]].
func pickRows(e *Engine, _ kernels.Kernel, in, out []View, _ []byte) error {
	x, index, y := in[0], in[1], out[0]
	if err := within("index", index.i32(), 0, x.Shape[0]); err != nil || !y.wanted() {
		return err
	}
	args := C.struct_rows_args{x: x.ptr(), index: (*C.int32_t)(index.ptr()), y: y.ptr(), cols: C.int64_t(x.Shape[1]),
		dx: C.int(x.Dtype), dy: C.int(y.Dtype)}
	e.chunks(index.Shape[0], 1+(1<<15)/max(1, x.Shape[1]), func(_, lo, hi int) {
		C.call_rows(e.tuned, args, C.int64_t(lo), C.int64_t(hi))
	})
	return nil
}
