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
	dx, dweight, dbias, da, db := out[0], out[1], out[2], out[3], out[4]

	if dbias.Wanted() {
		p.colsum(dy, l.rows, l.o, dbias)
	}
	g := l.cast(dy, l.product, 1)
	l.flush()
	if dweight.Wanted() {
		x := l.cast(l.x, l.product, 1)
		l.flush()
		p.gemm(Gemm{A: mat(g, l.o), TransA: true, B: mat(x, l.i), D: mat(dweight, l.i), Alpha: 1})
	}
	if l.r > 0 && db.Wanted() {
		xa, scale := l.rounded(l.xa, l.scale)
		p.gemm(Gemm{A: mat(g, l.o), TransA: true, B: mat(xa, l.r), D: mat(db, l.r), Alpha: float32(scale)})
	}
	gb := View{} // g B, (T,r)
	if l.r > 0 && (dx.Wanted() || da.Wanted()) {
		gb = p.scratch(kernels.Float32, l.rows, l.r)
		b := l.cast(l.b, l.product, 1)
		l.flush()
		p.gemm(Gemm{A: mat(g, l.o), B: mat(b, l.r), D: mat(gb, l.r), Alpha: 1})
	}
	if l.r > 0 && da.Wanted() {
		sgb, scale := l.rounded(gb, l.scale)
		p.gemm(Gemm{A: mat(sgb, l.r), TransA: true, B: mat(l.dropped(), l.i), D: mat(da, l.i), Alpha: float32(scale * l.drop.keep())})
	}
	if dx.Wanted() {
		l.inputGradient(g, gb, dx)
	}
}

// inputGradient is dx = Scale undrop(gb A), dx += g W.
func (l *linear) inputGradient(g, gb, dx View) {
	all := Gemm{A: mat(g, l.o), D: mat(dx, l.i), Alpha: 1}
	if l.r > 0 {
		a := l.cast(l.a, l.product, 1)
		sgb, scale := l.rounded(gb, l.scale)
		l.flush()
		l.p.gemm(Gemm{A: mat(sgb, l.r), B: mat(a, l.i), D: all.D, Alpha: float32(scale * l.drop.keep())})
		if l.drop.rate > 0 {
			l.mask(dx, dx, l.i)
		}
		all.C, all.Beta = all.D, 1
	}
	w := l.cast(l.w, l.product, 1)
	l.flush()
	all.B = mat(w, l.i)
	l.p.gemm(all)
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
