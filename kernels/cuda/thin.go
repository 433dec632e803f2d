package cuda

import (
	"fmt"

	"attune/kernels"
)

// thinMost is the largest rank that the thin kernels take.
const thinMost = 128

// thinWidth is the width of the thin kernels for a rank.
func thinWidth(r int) int {
	w := 16
	for w < r {
		w *= 2
	}
	return w
}

// thinMul is y (T,r) = alpha drop(x) op(w) in float32, where y is wanted, and scale y in bfloat16, which is returned: x (T,K)
// and w (K,r), or (r,K) if trans.
type thinMul struct {
	x, w         Mat
	trans        bool
	y            View
	alpha, scale float64
	drop         dropout
}

type thinMulArgs struct {
	X, W, Keys, Y, Sy Ptr
	Ldx, Ldw          int64
	Rows, K, R        int32
	Alpha, Scale      float32
	Salt              uint32
	Rate              float32
	_                 int32
}

func (p *planner) thinMul(t thinMul) Mat {
	r, kind := t.w.Cols, "n"
	if t.trans {
		r, kind = t.w.Rows, "t"
	}
	width := thinWidth(r)
	sy := p.scratch(kernels.BFloat16, t.x.Rows, width)
	stages := map[int]int{16: 4, 32: 4, 64: 3, 128: 2}[width]
	launch(p, fmt.Sprintf("thin_mul_%s_%d", kind, width), 128, stages*(32+width)*128*2, thinMulArgs{
		X: t.x.Ptr, W: t.w.Ptr, Keys: t.drop.keys.Ptr, Y: t.y.Ptr, Sy: sy.Ptr, Ldx: int64(t.x.LD), Ldw: int64(t.w.LD),
		Rows: int32(t.x.Rows), K: int32(t.x.Cols), R: int32(r), Alpha: float32(t.alpha), Scale: float32(t.scale),
		Salt: t.drop.salt, Rate: float32(t.drop.rate),
	}, blocks(t.x.Rows, 32))
	return Mat{Ptr: sy.Ptr, Dtype: sy.Dtype, Rows: t.x.Rows, Cols: r, LD: width}
}

// thinSum is y[i*alongX + j*alongP] = alpha times the sum over rows t of drop(x)[t,i] p[t,j], in float32. p has rows of
// thinWidth elements.
type thinSum struct {
	x, p           Mat
	y              View
	alongX, alongP int
	alpha          float64
	drop           dropout
}

type thinSumArgs struct {
	X, P, Keys, Y                   Ptr
	Ldx, Ldp, AlongX, AlongP, Piece int64
	Rows, Cols, R, Block            int32
	Alpha                           float32
	Salt                            uint32
	Rate                            float32
	_                               int32
}

const (
	// thinSumRows are the rows that a block of thin_sum adds up, or twice that and so on where the sums of all blocks would
	// take more than thinSumBytes.
	thinSumRows  = 512
	thinSumBytes = 32 << 20
)

func (p *planner) thinSum(t thinSum) {
	rows := thinSumRows
	for rows < t.x.Rows && int64(blocks(t.x.Rows, rows))*t.y.Bytes() > thinSumBytes {
		rows *= 2
	}
	pieces := blocks(t.x.Rows, rows)
	y, alpha := t.y, t.alpha
	if pieces > 1 {
		y, alpha = p.scratch(kernels.Float32, pieces, t.y.Elems()), 1
	}
	width := thinWidth(t.p.Cols)
	shared := 4 * 32 * ((128+width)*2 + 8) // four steps of x, p and the states of tokens
	launch(p, fmt.Sprintf("thin_sum_%d", width), 128, shared, thinSumArgs{
		X: t.x.Ptr, P: t.p.Ptr, Keys: t.drop.keys.Ptr, Y: y.Ptr, Ldx: int64(t.x.LD), Ldp: int64(t.p.LD),
		AlongX: int64(t.alongX), AlongP: int64(t.alongP), Piece: int64(t.y.Elems()), Rows: int32(t.x.Rows), Cols: int32(t.x.Cols),
		R: int32(t.p.Cols), Block: int32(rows), Alpha: float32(alpha), Salt: t.drop.salt, Rate: float32(t.drop.rate),
	}, blocks(t.x.Cols, 128), pieces)
	if pieces > 1 {
		p.sumPartials(y, t.y, t.alpha)
	}
}
