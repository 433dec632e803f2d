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
	launch(p, fmt.Sprintf("thin_mul_%s_%d", kind, width), 128, thinMulShared(width), thinMulArgs{
		X: t.x.Ptr, W: t.w.Ptr, Keys: t.drop.keys.Ptr, Y: t.y.Ptr, Sy: sy.Ptr, Ldx: int64(t.x.LD), Ldw: int64(t.w.LD),
		Rows: int32(t.x.Rows), K: int32(t.x.Cols), R: int32(r), Alpha: float32(t.alpha), Scale: float32(t.scale),
		Salt: t.drop.salt, Rate: float32(t.drop.rate),
	}, blocks(t.x.Rows, thinMulRows))
	return Mat{Ptr: sy.Ptr, Dtype: sy.Dtype, Rows: t.x.Rows, Cols: r, LD: width}
}

// thinMulRows are the rows that a block of thin_mul makes, and thinSumCols the columns of one of thin_sum.
const thinMulRows, thinSumCols = 32, 128

// thinMulShared is the steps of x and w that thin_mul has on their way.
func thinMulShared(width int) int {
	stages := map[int]int{16: 4, 32: 4, 64: 3, 128: 2}[width]
	return stages * (thinMulRows + width) * 128 * 2
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

// thinSumPieces is how a result of so many bytes is summed over rows of tokens: how many a block adds up, and the number of
// such pieces.
func thinSumPieces(rows int, bytes int64) (block, pieces int) {
	block = thinSumRows
	for block < rows && int64(blocks(rows, block))*bytes > thinSumBytes {
		block *= 2
	}
	return block, blocks(rows, block)
}

// pieces is y itself and its factor where there is one piece, otherwise scratch for as many, which sumPartials adds up later.
func (p *planner) pieces(n int, y View, alpha float64) (View, float64, []partial) {
	if n == 1 {
		return y, alpha, nil
	}
	x := p.scratch(kernels.Float32, n, y.Elems())
	return x, 1, []partial{{x, y, alpha}}
}

// thinSum returns what sumPartials is still to add up.
func (p *planner) thinSum(t thinSum) []partial {
	rows, pieces := thinSumPieces(t.x.Rows, t.y.Bytes())
	y, alpha, left := p.pieces(pieces, t.y, t.alpha)
	width := thinWidth(t.p.Cols)
	launch(p, fmt.Sprintf("thin_sum_%d", width), 128, thinSumShared(width), thinSumArgs{
		X: t.x.Ptr, P: t.p.Ptr, Keys: t.drop.keys.Ptr, Y: y.Ptr, Ldx: int64(t.x.LD), Ldp: int64(t.p.LD),
		AlongX: int64(t.alongX), AlongP: int64(t.alongP), Piece: int64(t.y.Elems()), Rows: int32(t.x.Rows), Cols: int32(t.x.Cols),
		R: int32(t.p.Cols), Block: int32(rows), Alpha: float32(alpha), Salt: t.drop.salt, Rate: float32(t.drop.rate),
	}, blocks(t.x.Cols, thinSumCols), pieces)
	return left
}

// thinSumShared is four steps of x, p and the states of tokens.
func thinSumShared(width int) int { return 4 * 32 * ((thinSumCols+width)*2 + 8) }

type thinPairArgs struct {
	G, B, Xa             Ptr
	Sgb, Db              Ptr
	Ldg, Ldb             int64
	Rows, Cols, R, Block int32
	Scale                float32
	_                    int32
}

// thinPair is thinMul of g B, as the operand times scale, and thinSum of db = gᵀ xa in one launch: g (T,O), b (O,r) and xa (T,r)
// with rows of thinWidth elements.
func (p *planner) thinPair(g, b, xa Mat, scale float64, db View) (Mat, []partial) {
	rows, pieces := thinSumPieces(g.Rows, db.Bytes())
	y, _, left := p.pieces(pieces, db, 1)
	width := thinWidth(b.Cols)
	sgb := p.scratch(kernels.BFloat16, g.Rows, width)
	launch(p, fmt.Sprintf("thin_pair_%d", width), 128, max(thinMulShared(width), thinSumShared(width)), thinPairArgs{
		G: g.Ptr, B: b.Ptr, Xa: xa.Ptr, Sgb: sgb.Ptr, Db: y.Ptr, Ldg: int64(g.LD), Ldb: int64(b.LD), Rows: int32(g.Rows), Cols: int32(g.Cols),
		R: int32(b.Cols), Block: int32(rows), Scale: float32(scale),
	}, pieces*(blocks(g.Cols, thinSumCols)+rows/thinMulRows))
	return Mat{Ptr: sgb.Ptr, Dtype: sgb.Dtype, Rows: g.Rows, Cols: b.Cols, LD: width}, left
}
