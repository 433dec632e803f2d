package cuda

import "attune/kernels"

type rowsArgs struct {
	X, Index, Y Ptr
	Rows        int64
	D, DX, DY   int32
	_           int32
}

// planRows is rows and embed.
func planRows(p *planner, _ kernels.Kernel, in, out []View) {
	x, index, y := in[0], in[1], out[0]
	if y.Wanted() {
		launch(p, "rows", 128, 0, rowsArgs{
			X: x.Ptr, Index: index.Ptr, Y: y.Ptr, Rows: int64(x.Shape[0]), D: int32(x.Shape[1]), DX: int32(x.Dtype), DY: int32(y.Dtype),
		}, y.Shape[0])
	}
}
