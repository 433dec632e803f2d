//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(adamw)
*/
import "C"

import (
	"math"

	"attune/kernels"
)

// adamW is one optimizer step, element by element; the outputs may be the inputs' buffers. The scalars are worked out
// in float64 and rounded once, as torch does.
func adamW(e *Engine, k kernels.Kernel, in, out []View, _ []byte) error {
	param, hyper := in[0], in[4]
	a, h := k.(kernels.AdamW), hyper.f32()
	lr, bias1, bias2 := float64(h[0]), float64(h[1]), float64(h[2])
	ptr := func(v View) *C.float { return (*C.float)(v.ptr()) }
	args := C.struct_adamw_args{param: ptr(param), grad: ptr(in[1]), m: ptr(in[2]), v: ptr(in[3]),
		out_param: ptr(out[0]), out_m: ptr(out[1]), out_v: ptr(out[2]),
		decay: C.float(1 - lr*a.WeightDecay), grad_scale: C.float(h[3]), one_minus_beta1: C.float(1 - a.Beta1),
		beta2: C.float(a.Beta2), one_minus_beta2: C.float(1 - a.Beta2), sqrt_bias2: C.float(math.Sqrt(bias2)),
		eps: C.float(a.Eps), step_size: C.float(lr / bias1)}
	e.elements(param.elems(), func(lo, hi int) { C.call_adamw(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
	return nil
}
