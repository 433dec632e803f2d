package cuda

import "attune/kernels"

type nf4Args struct {
	Codes, Absmax, Y Ptr
	N                int64
	Block, DY        int32
	Levels           [16]float32
}

func planNF4(p *planner, k kernels.Kernel, in, out []View) {
	if y := out[0]; y.Wanted() {
		launch(p, "nf4", 256, 64, nf4Args{
			Codes: in[0].Ptr, Absmax: in[1].Ptr, Y: y.Ptr, N: int64(y.Elems()), Block: int32(k.(kernels.NF4).Block), DY: int32(y.Dtype),
			Levels: kernels.NF4Levels(),
		}, blocks(y.Elems(), elementsABlock))
	}
}
