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

// backward is all of LinearBwd but dbias. By the thin kernels that is one launch for A, B and xA in bfloat16, one for g B and dB, one
// for dA, from 513 tokens on one that ends both sums, and one or (where the term cannot be in the product's sum) two for dx.
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
	if !l.thin() {
		l.gradients(all, g, a, b, xa, left, da, db)
		return
	}
	sums, sgb := l.thinGradients(g, x, b, xa, dx.Wanted(), da, db)
	l.p.sumPartials(sums...)
	if dx.Wanted() {
		l.addTerm(all, Gemm{A: sgb, B: a, Alpha: float32(l.drop.keep())}, l.drop)
	}
}

// thinGradients makes dA = (Scale g B)ᵀ drop(x) and dB = gᵀ (Scale xA), but for the sums it returns, and Scale g B as an operand.
func (l *linear) thinGradients(g, x, b, xa Mat, dx bool, da, db View) (sums []partial, sgb Mat) {
	switch inner := dx || da.Wanted(); {
	case inner && db.Wanted():
		sgb, sums = l.p.thinPair(g, b, xa, l.scale, db)
	case inner:
		sgb = l.p.thinMul(thinMul{x: g, w: b, alpha: 1, scale: l.scale})
	case db.Wanted():
		sums = l.p.thinSum(thinSum{x: g, p: xa, y: db, alongX: l.r, alongP: 1, alpha: 1})
	}
	if da.Wanted() {
		sums = append(sums, l.p.thinSum(thinSum{x: x, p: sgb, y: da, alongX: 1, alongP: l.i, alpha: l.drop.keep(), drop: l.drop})...)
	}
	return sums, sgb
}

// gradients are dA = Scale (g B)ᵀ drop(x), dB = Scale gᵀ xA and all with LoRA's term by products; left is what is left of Scale for
// xA.
func (l *linear) gradients(all product, g, a, b, xa Mat, left float64, da, db View) {
	if db.Wanted() {
		l.p.gemm(Gemm{A: g, TransA: true, B: xa, D: mat(db, l.r), Alpha: float32(left)})
	}
	dx := all.D.Dtype != 0
	if !dx && !da.Wanted() {
		return
	}
	gb := l.p.scratch(kernels.Float32, l.rows, l.r)
	l.p.gemm(Gemm{A: g, B: b, D: mat(gb, l.r), Alpha: 1})
	sgb, left := l.rounded(gb, l.scale)
	if da.Wanted() {
		x := l.dropped()
		l.flush()
		l.p.gemm(Gemm{A: sgb, TransA: true, B: x, D: mat(da, l.i), Alpha: float32(left * l.drop.keep())})
	}
	if dx {
		l.addTerm(all, Gemm{A: sgb, B: a, Alpha: float32(left * l.drop.keep())}, l.drop)
	}
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
		p.sumPartials(partial{part, y, 1})
	}
}

type sumPartialsArgs struct {
	X, Y   [2]Ptr
	Sum    [2]Ptr
	N      [2]int64
	Pieces [2]int32
	Scale  [2]float32
}

// partial is y = scale times the sum over the pieces (first dimension) of x, in order.
type partial struct {
	x, y  View
	scale float64
}

// sumPartials appends up to two such sums, in one launch that also adds y to what it is accumulated in (PlanFollowed).
func (p *planner) sumPartials(sums ...partial) {
	if len(sums) == 0 {
		return
	}
	var a sumPartialsArgs
	most := 0
	for i, s := range sums {
		a.Sum[i] = p.takeIn(s.y).Ptr
		a.X[i], a.Y[i], a.N[i], a.Pieces[i], a.Scale[i] = s.x.Ptr, s.y.Ptr, int64(s.y.Elems()), int32(s.x.Shape[0]), float32(s.scale)
		most = max(most, s.y.Elems())
	}
	launch(p, "sum_partials", 256, 0, a, blocks(most, 256), len(sums))
}
