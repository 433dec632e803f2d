package cuda

import (
	"slices"

	"attune/kernels"
)

type swigluArgs struct {
	Gate, Up, H     Ptr
	N               int64
	Act, DG, DU, DH int32
}

type swigluBwdArgs struct {
	Gate, Up, DH, DGate, DUp       Ptr
	N                              int64
	Act, DG, DU, DDH, DDGate, DDUp int32
}

// activation is the number of SwiGLU.Act in swiglu.cu.
func activation(act string) int32 {
	return int32(slices.Index([]string{"silu", "gelu_tanh", "gelu"}, act))
}

func planSwiGLU(p *planner, k kernels.Kernel, in, out []View) {
	gate, up, h := in[0], in[1], out[0]
	if h.Wanted() {
		launch(p, "swiglu", 256, 0, swigluArgs{
			Gate: gate.Ptr, Up: up.Ptr, H: h.Ptr, N: int64(h.Elems()), Act: activation(k.(kernels.SwiGLU).Act),
			DG: int32(gate.Dtype), DU: int32(up.Dtype), DH: int32(h.Dtype),
		}, blocks(h.Elems(), elementsABlock))
	}
}

func planSwiGLUBwd(p *planner, k kernels.Kernel, in, out []View) {
	gate, up, dh, dgate, dup := in[0], in[1], in[2], out[0], out[1]
	if dgate.Wanted() || dup.Wanted() {
		launch(p, "swiglu_bwd", 256, 0, swigluBwdArgs{
			Gate: gate.Ptr, Up: up.Ptr, DH: dh.Ptr, DGate: dgate.Ptr, DUp: dup.Ptr, N: int64(gate.Elems()),
			Act: activation(k.(kernels.SwiGLUBwd).Act), DG: int32(gate.Dtype), DU: int32(up.Dtype), DDH: int32(dh.Dtype),
			DDGate: int32(dgate.Dtype), DDUp: int32(dup.Dtype),
		}, blocks(gate.Elems(), elementsABlock))
	}
}
