//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(swiglu)
ATTUNE_CALL(swiglu_bwd)
*/
import "C"

import "attune/kernels"

// activation is the C name of SwiGLU.Act.
func activation(act string) C.int {
	switch act {
	case "silu":
		return C.ACT_SILU
	case "gelu_tanh":
		return C.ACT_GELU_TANH
	}
	return C.ACT_GELU
}

// swiGLU is done element by element; h may be gate or up.
func swiGLU(e *Engine, k kernels.Kernel, in, out []View, _ []byte) error {
	if !out[0].wanted() {
		return nil
	}
	act := activation(k.(kernels.SwiGLU).Act)
	gate, up, h := in[0], in[1], out[0]
	args := C.struct_swiglu_args{gate: gate.ptr(), up: up.ptr(), h: h.ptr(), act: act,
		dg: C.int(gate.Dtype), du: C.int(up.Dtype), dh: C.int(h.Dtype)}
	e.elements(gate.elems(), func(lo, hi int) { C.call_swiglu(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}

// swiGLUBwd is done element by element; dgate and dup may be any two of the inputs.
func swiGLUBwd(e *Engine, k kernels.Kernel, in, out []View, _ []byte) error {
	if !out[0].wanted() && !out[1].wanted() {
		return nil
	}
	act := activation(k.(kernels.SwiGLUBwd).Act)
	gate, up, dh, dgate, dup := in[0], in[1], in[2], out[0], out[1]
	args := C.struct_swiglu_bwd_args{gate: gate.ptr(), up: up.ptr(), dh: dh.ptr(), dgate: dgate.ptr(), dup: dup.ptr(), act: act,
		dg: C.int(gate.Dtype), du: C.int(up.Dtype), ddh: C.int(dh.Dtype), ddgate: C.int(dgate.Dtype), ddup: C.int(dup.Dtype)}
	e.elements(gate.elems(), func(lo, hi int) { C.call_swiglu_bwd(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}
