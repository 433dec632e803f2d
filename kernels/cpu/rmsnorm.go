//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(rmsnorm)
ATTUNE_CALL(rmsnorm_bwd)
ATTUNE_CALL(colsum)
*/
import "C"

import (
	"unsafe"

	"attune/kernels"
)

// rmsNorm is done row by row; y may be x.
func rmsNorm(e *Engine, k kernels.Kernel, in, out []View, _ []byte) error {
	x, w, y, rstd := in[0], in[1], out[0], out[1]
	if !y.wanted() && !rstd.wanted() {
		return nil
	}
	args := C.struct_rmsnorm_args{x: x.ptr(), weight: w.ptr(), y: y.ptr(), rstd: (*C.float)(rstd.ptr()), cols: C.int64_t(x.cols()),
		eps: C.double(k.(kernels.RMSNorm).Eps), dx: C.int(x.Dtype), dw: C.int(w.Dtype), dy: C.int(y.Dtype)}
	e.chunks(x.rows(), 1+(1<<14)/max(1, x.cols()), func(_, lo, hi int) {
		C.call_rmsnorm(e.tuned, args, C.int64_t(lo), C.int64_t(hi))
	})
	return nil
}

func rmsNormBlocks(x View) int { return (x.rows() + C.RMSNORM_BLOCK - 1) / C.RMSNORM_BLOCK }

func rmsNormBwdScratch(_ *Engine, _ kernels.Kernel, in, _ []View) int64 {
	return scratchSize(4 * int64(rmsNormBlocks(in[0])) * int64(in[0].cols()))
}

// rmsNormBwd takes blocks of a fixed number of rows; their shares of dweight are added in order. dx may be dy or x.
func rmsNormBwd(e *Engine, _ kernels.Kernel, in, out []View, scratch []byte) error {
	x, w, rstd, dy, dx, dw := in[0], in[1], in[2], in[3], out[0], out[1]
	if !dx.wanted() && !dw.wanted() {
		return nil
	}
	blocks, cols := rmsNormBlocks(x), x.cols()
	args := C.struct_rmsnorm_bwd_args{x: x.ptr(), weight: w.ptr(), rstd: (*C.float)(rstd.ptr()), dy: dy.ptr(), out: dx.ptr(),
		rows: C.int64_t(x.rows()), cols: C.int64_t(cols),
		dx: C.int(x.Dtype), dw: C.int(w.Dtype), ddy: C.int(dy.Dtype), dout: C.int(dx.Dtype)}
	if dw.wanted() {
		partial := carve(&scratch, 4*int64(blocks)*int64(cols))
		args.partial = (*C.float)(unsafe.Pointer(unsafe.SliceData(partial)))
	}
	e.chunks(blocks, 1, func(_, lo, hi int) { C.call_rmsnorm_bwd(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	if dw.wanted() {
		sum := C.struct_colsum_args{x: args.partial, y: (*C.float)(dw.ptr()), rows: C.int64_t(blocks), cols: args.cols}
		e.chunks(cols, 256, func(_, lo, hi int) { C.call_colsum(e.tuned, sum, C.int64_t(lo), C.int64_t(hi)) })
	}
	return nil
}
