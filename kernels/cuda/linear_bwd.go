package cuda

import "attune/kernels"

func planLinearBwd(p *planner, kernel kernels.Kernel, in, out []View) {
	k := kernel.(kernels.LinearBwd)
	l := linear{p: p, r: k.Rank, scale: k.Scale, x: in[0], w: in[1], o: in[1].Shape[0], i: in[1].Shape[1]}
	if k.Rank > 0 {
		l.a, l.b, l.xa = in[2], in[3], in[4]
	}
	if k.Dropout > 0 {
		l.drop = dropout{keys: in[len(in)-2], salt: k.Salt, rate: k.Dropout}
	}
	dy := in[len(in)-1]
	l.rows = dy.Elems() / l.o
	l.setProduct(l.x, dy)
	if out[2].Wanted() {
		p.colsum(dy, l.rows, l.o, out[2])
	}
	l.backward(dy, out[0], out[1], out[3], out[4])
}

// backward is all of LinearBwd but dbias. By the thin kernels that is one launch for A, B and xA in bfloat16, two for each of
// dA and dB (one up to 512 tokens), one for g B, and one or (where the term cannot be in the product's sum) two for dx.
func (l *linear) backward(dy, dx, dweight, da, db View) {
	var x, w, a, b, xa Mat
	left := 1.0 // of Scale, for xA
	g := l.cast(dy, l.o, l.product, 1)
	if dweight.Wanted() || l.thin() && da.Wanted() {
		x = l.cast(l.x, l.i, l.product, 1)
	}
	if dx.Wanted() {
		w = l.cast(l.w, l.i, l.product, 1)
	}
	if l.r > 0 && dx.Wanted() {
		a = l.cast(l.a, l.i, l.product, 1)
	}
	if l.r > 0 && (dx.Wanted() || da.Wanted()) {
		b = l.cast(l.b, l.r, l.product, 1)
	}
	switch {
	case l.r == 0 || !db.Wanted():
	case l.thin():
		xa = l.padded(l.xa, l.r, thinWidth(l.r), l.product, l.scale)
	default:
		xa, left = l.rounded(l.xa, l.scale)
	}
	l.flush()

	if dweight.Wanted() {
		l.p.gemm(Gemm{A: g, TransA: true, B: x, D: mat(dweight, l.i), Alpha: 1})
	}
	all := product{Gemm: Gemm{A: g, B: w, Alpha: 1}}
	if dx.Wanted() {
		all.D = mat(dx, l.i)
	}
	if l.r == 0 {
		if dx.Wanted() {
			l.p.gemm(all.Gemm)
		}
		return
	}
	if db.Wanted() {
		l.outerGradient(g, xa, left, db)
	}
	if !dx.Wanted() && !da.Wanted() {
		return
	}
	sgb, left := l.innerGradient(g, b)
	if da.Wanted() {
		l.aGradient(x, sgb, left, da)
	}
	if dx.Wanted() {
		l.addTerm(all, Gemm{A: sgb, B: a, Alpha: float32(left * l.drop.keep())}, l.drop)
	}
}

// innerGradient is Scale g B (T,r) as an operand; the second result is what is left of Scale.
func (l *linear) innerGradient(g, b Mat) (Mat, float64) {
	if l.thin() {
		return l.p.thinMul(thinMul{x: g, w: b, alpha: 1, scale: l.scale}), 1
	}
	gb := l.p.scratch(kernels.Float32, l.rows, l.r)
	l.p.gemm(Gemm{A: g, B: b, D: mat(gb, l.r), Alpha: 1})
	return l.rounded(gb, l.scale)
}

// aGradient is dA = Scale (g B)ᵀ drop(x).
func (l *linear) aGradient(x, sgb Mat, left float64, da View) {
	if l.thin() {
		l.p.thinSum(thinSum{x: x, p: sgb, y: da, alongX: 1, alongP: l.i, alpha: l.drop.keep(), drop: l.drop})
		return
	}
	x = l.dropped()
	l.flush()
	l.p.gemm(Gemm{A: sgb, TransA: true, B: x, D: mat(da, l.i), Alpha: float32(left * l.drop.keep())})
}

// outerGradient is dB = Scale gᵀ xA.
func (l *linear) outerGradient(g, xa Mat, left float64, db View) {
	if l.thin() {
		l.p.thinSum(thinSum{x: g, p: xa, y: db, alongX: l.r, alongP: 1, alpha: 1})
		return
	}
	l.p.gemm(Gemm{A: g, TransA: true, B: xa, D: mat(db, l.r), Alpha: float32(left)})
}

type colsumArgs struct {
	X, Y           Ptr
	Rows, Cols, DX int32
	_              int32
}

// colsumRows are the rows of a piece of colsum.
const colsumRows = 128

// colsum appends y (cols) = the sum over the rows of x (rows, cols), by pieces that are added in order.
func (p *planner) colsum(x View, rows, cols int, y View) {
	pieces := blocks(rows, colsumRows)
	part := y
	if pieces > 1 {
		part = p.scratch(kernels.Float32, pieces, cols)
	}
	launch(p, "colsum", 128, 0, colsumArgs{X: x.Ptr, Y: part.Ptr, Rows: int32(rows), Cols: int32(cols), DX: int32(x.Dtype)},
		blocks(cols, 128), pieces)
	if pieces > 1 {
		p.sumPartials(part, y, 1)
	}
}

type sumPartialsArgs struct {
	X, Y   Ptr
	N      int64
	Pieces int32
	Scale  float32
}

// sumPartials appends y = scale times the sum over the pieces (first dimension) of x, in order.
func (p *planner) sumPartials(x, y View, scale float64) {
	launch(p, "sum_partials", 256, 0, sumPartialsArgs{
		X: x.Ptr, Y: y.Ptr, N: int64(y.Elems()), Pieces: int32(x.Shape[0]), Scale: float32(scale),
	}, blocks(y.Elems(), 256))
}
