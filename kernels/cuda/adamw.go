package cuda

import "attune/kernels"

// adamWArgs are one tensor; or, where All is not 0, Count of them, each with the number of its first block.
type adamWArgs struct {
	Param, Grad, M, V, Hyper Ptr
	OutParam, OutM, OutV     Ptr
	N, First                 int64
	All                      Ptr
	WeightDecay              float64
	WeightM, Beta2, WeightV  float32
	Eps                      float32
	Count, _                 int32
}

func newAdamWArgs(k kernels.AdamW, in, out []View) adamWArgs {
	return adamWArgs{
		Param: in[0].Ptr, Grad: in[1].Ptr, M: in[2].Ptr, V: in[3].Ptr, Hyper: in[4].Ptr,
		OutParam: out[0].Ptr, OutM: out[1].Ptr, OutV: out[2].Ptr,
		N: int64(in[0].Elems()), WeightDecay: k.WeightDecay,
		WeightM: float32(1 - k.Beta1), Beta2: float32(k.Beta2), WeightV: float32(1 - k.Beta2), Eps: float32(k.Eps),
	}
}

func planAdamW(p *planner, k kernels.Kernel, in, out []View) {
	a := newAdamWArgs(k.(kernels.AdamW), in, out)
	launch(p, "adamw", 256, 16, a, blocks(int(a.N), blockElems))
}
