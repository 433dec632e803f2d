package cuda

import "attune/kernels"

type scaleByArgs struct {
	X, S, Y Ptr
	N       int64
	DX, DY  int32
}

func planScaleBy(p *planner, _ kernels.Kernel, in, out []View) {
	if y := out[0]; y.Wanted() {
		launch(p, "scaleby", 256, 0, scaleByArgs{
			X: in[0].Ptr, S: in[1].Ptr, Y: y.Ptr, N: int64(y.Elems()), DX: int32(in[0].Dtype), DY: int32(y.Dtype),
		}, blocks(y.Elems(), elementsABlock))
	}
}
