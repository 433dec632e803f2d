package cuda

import (
	"fmt"

	"attune/kernels"
)

// gemvMost is the largest number of rows that gemv takes: those of generation.
const gemvMost = 8

type gemvArgs struct {
	X, W, Bias, B, Xa, Y                 Ptr
	Rows, N, K, R, DX, DW, Dbias, Db, DY int32
	Scale                                float32
}

// gemv appends y = x wᵀ + bias + scale xa bᵀ for few rows; bias and the last term may be unwanted.
func (p *planner) gemv(rows int, x, w, bias View, scale float64, xa, b, y View) {
	n, k, r := w.Shape[0], w.Shape[1], 0
	if xa.Wanted() {
		r = b.Shape[1]
	}
	width := 1
	for width < rows {
		width *= 2
	}
	launch(p, fmt.Sprintf("gemv_%d", width), 128, 0, gemvArgs{
		X: x.Ptr, W: w.Ptr, Bias: bias.Ptr, B: b.Ptr, Xa: xa.Ptr, Y: y.Ptr, Rows: int32(rows), N: int32(n), K: int32(k), R: int32(r),
		DX: int32(x.Dtype), DW: int32(w.Dtype), Dbias: int32(bias.Dtype), Db: int32(b.Dtype), DY: int32(y.Dtype), Scale: float32(scale),
	}, blocks(n, 16))
}

// decode is forward for few rows without dropout.
func (l *linear) decode(y, xa View) {
	inner := View{}
	if l.r > 0 {
		if inner = xa; !xa.Wanted() {
			inner = l.p.scratch(kernels.Float32, l.rows, l.r)
		}
		l.p.gemv(l.rows, l.x, l.a, View{}, 1, View{}, View{}, inner)
	}
	if y.Wanted() {
		l.p.gemv(l.rows, l.x, l.w, l.bias, l.scale, inner, l.b, y)
	}
}
