//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(embed_bwd)
*/
import "C"

import "attune/kernels"

// embedBwd splits the table into ranges of rows; each is summed by one worker in the order of the tokens.
func embedBwd(e *Engine, _ kernels.Kernel, in, out []View, _ []byte) error {
	ids, dy, dw := in[0], in[1], out[0]
	if !dw.wanted() {
		return nil
	}
	if err := within("ids", ids.i32(), 0, dw.Shape[0]); err != nil {
		return err
	}
	args := C.struct_embed_bwd_args{ids: (*C.int32_t)(ids.ptr()), dy: dy.ptr(), dweight: (*C.float)(dw.ptr()),
		tokens: C.int64_t(ids.Shape[0]), cols: C.int64_t(dy.Shape[1]), ddy: C.int(dy.Dtype)}
	e.chunks(dw.Shape[0], 256, func(_, lo, hi int) { C.call_embed_bwd(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}
