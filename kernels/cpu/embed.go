//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(embed_bwd)
*/
import "C"

import (
	"fmt"

	"attune/kernels"
)

// embedBwd splits the table into ranges of rows; each is summed by one worker in the order of the tokens.
func embedBwd(e *Engine, _ kernels.Kernel, in, out []View, _ []byte) error {
	if err := operands(in, 2, out, 1); err != nil {
		return err
	}
	ids, dy, dw := in[0], in[1], out[0]
	if len(ids.Shape) != 1 || len(dy.Shape) != 2 || len(dw.Shape) != 2 {
		return fmt.Errorf("ids %v, dy %v, dweight %v, must be (T), (T,D), (V,D)", ids.Shape, dy.Shape, dw.Shape)
	}
	if err := firstError(
		stored("ids", ids, kernels.Int32, ids.Shape...),
		floating("dy", dy, ids.Shape[0], dw.Shape[1]),
		stored("dweight", dw, kernels.Float32, dw.Shape...),
		within("ids", ids.i32(), 0, dw.Shape[0]),
	); err != nil || !dw.wanted() {
		return err
	}
	args := C.struct_embed_bwd_args{ids: (*C.int32_t)(ids.ptr()), dy: dy.ptr(), dweight: (*C.float)(dw.ptr()),
		tokens: C.int64_t(ids.Shape[0]), cols: C.int64_t(dy.Shape[1]), ddy: C.int(dy.Dtype)}
	e.chunks(dw.Shape[0], 256, func(_, lo, hi int) { C.call_embed_bwd(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}
