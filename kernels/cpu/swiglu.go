//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(swiglu)
ATTUNE_CALL(swiglu_bwd)
*/
import "C"

import (
	"fmt"
	"slices"

	"attune/kernels"
)

// activation is the C name of SwiGLU.Act.
func activation(act string) (C.int, error) {
	switch act {
	case "silu":
		return C.ACT_SILU, nil
	case "gelu_tanh":
		return C.ACT_GELU_TANH, nil
	case "gelu":
		return C.ACT_GELU, nil
	}
	return 0, fmt.Errorf("no activation %q, there are %v", act, kernels.Activations())
}

// sameFloats checks that all views are floating-point and of one shape.
func sameFloats(views ...View) error {
	for i, v := range views {
		if err := floating(fmt.Sprintf("operand %d", i), v, views[0].Shape...); err != nil {
			return err
		}
	}
	return nil
}

// swiGLU is done element by element; h may be gate or up.
func swiGLU(e *Engine, k kernels.Kernel, in, out []View, _ []byte) error {
	if err := operands(in, 2, out, 1); err != nil {
		return err
	}
	act, err := activation(k.(kernels.SwiGLU).Act)
	if err := firstError(err, sameFloats(slices.Concat(in, out)...)); err != nil || !out[0].wanted() {
		return err
	}
	gate, up, h := in[0], in[1], out[0]
	args := C.struct_swiglu_args{gate: gate.ptr(), up: up.ptr(), h: h.ptr(), act: act,
		dg: C.int(gate.Dtype), du: C.int(up.Dtype), dh: C.int(h.Dtype)}
	e.elements(gate.elems(), func(lo, hi int) { C.call_swiglu(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}

// swiGLUBwd is done element by element; dgate and dup may be any two of the inputs.
func swiGLUBwd(e *Engine, k kernels.Kernel, in, out []View, _ []byte) error {
	if err := operands(in, 3, out, 2); err != nil {
		return err
	}
	act, err := activation(k.(kernels.SwiGLUBwd).Act)
	if err := firstError(err, sameFloats(slices.Concat(in, out)...)); err != nil || !out[0].wanted() && !out[1].wanted() {
		return err
	}
	gate, up, dh, dgate, dup := in[0], in[1], in[2], out[0], out[1]
	args := C.struct_swiglu_bwd_args{gate: gate.ptr(), up: up.ptr(), dh: dh.ptr(), dgate: dgate.ptr(), dup: dup.ptr(), act: act,
		dg: C.int(gate.Dtype), du: C.int(up.Dtype), ddh: C.int(dh.Dtype), ddgate: C.int(dgate.Dtype), ddup: C.int(dup.Dtype)}
	e.elements(gate.elems(), func(lo, hi int) { C.call_swiglu_bwd(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}
