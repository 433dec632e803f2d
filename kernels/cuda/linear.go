package cuda

import "attune/kernels"

// linear is one run of kernels.Linear or LinearBwd. All products of a run have one dtype: bfloat16 where activations are
// stored so; operands of another dtype are cast to scratch first.
type linear struct {
	p             *planner
	rows, i, o, r int // T, I, O, Rank
	product       kernels.Dtype
	scale         float64
	drop          dropout
	x, w, bias    View
	a, b, xa      View
	casts         linearCastArgs
	pieces        int // of casts
}

// dropout is kernels.Linear's; a rate of 0 is none.
type dropout struct {
	keys View
	salt uint32
	rate float64
}

// keep is what an element that is kept is multiplied by.
func (d dropout) keep() float64 { return 1 / (1 - d.rate) }

type linearCastArgs struct {
	X, Y             [4]Ptr
	N                [4]int64
	Cols, Ld, DX, DY [4]int32
	Scale            [4]float32
}

// cast is the matrix v of so many columns, or a scaled copy of it in dtype d that the next flush makes. Rows of a bfloat16
// copy begin at multiples of 16 bytes.
func (l *linear) cast(v View, cols int, d kernels.Dtype, scale float64) Mat {
	if v.Dtype == d && scale == 1 {
		return mat(v, cols)
	}
	ld := cols
	if d == kernels.BFloat16 {
		ld = (cols + 7) &^ 7
	}
	return l.padded(v, cols, ld, d, scale)
}

// padded is a copy of v in dtype d, times scale, in rows of ld that end in zeros; the next flush makes it.
func (l *linear) padded(v View, cols, ld int, d kernels.Dtype, scale float64) Mat {
	if l.pieces == len(l.casts.X) {
		l.flush()
	}
	m := mat(v, cols)
	y := l.p.scratch(d, m.Rows, ld)
	c, n := &l.casts, l.pieces
	c.X[n], c.Y[n], c.N[n], c.Cols[n], c.Ld[n] = v.Ptr, y.Ptr, int64(y.Elems()), int32(cols), int32(ld)
	c.DX[n], c.DY[n], c.Scale[n] = int32(v.Dtype), int32(d), float32(scale)
	l.pieces++
	m.Ptr, m.Dtype, m.LD = y.Ptr, d, ld
	return m
}

// flush makes the copies asked for since the last one, in one launch.
func (l *linear) flush() {
	if l.pieces == 0 {
		return
	}
	most := 0
	for _, n := range l.casts.N[:l.pieces] {
		most = max(most, int(n))
	}
	launch(l.p, "linear_cast", 256, 0, l.casts, blocks(most, elementsABlock), l.pieces)
	l.casts, l.pieces = linearCastArgs{}, 0
}

// mat is v as a matrix of so many columns.
func mat(v View, cols int) Mat {
	return Mat{Ptr: v.Ptr, Dtype: v.Dtype, Rows: v.Elems() / cols, Cols: cols, LD: cols}
}

type linearDropArgs struct {
	X, Y, Keys   Ptr
	N            int64
	Cols, DX, DY int32
	Salt         uint32
	Rate         float32
	_            int32
}

// mask writes v (T, cols) with what dropout drops set to 0 to y, which may be v.
func (l *linear) mask(v, y View, cols int) {
	launch(l.p, "linear_drop", 256, 0, linearDropArgs{
		X: v.Ptr, Y: y.Ptr, Keys: l.drop.keys.Ptr, N: int64(v.Elems()), Cols: int32(cols), DX: int32(v.Dtype), DY: int32(y.Dtype),
		Salt: l.drop.salt, Rate: float32(l.drop.rate),
	}, blocks(v.Elems(), elementsABlock))
}

// dropped is x (T,I) in the product's dtype with what dropout drops set to 0; the next flush may have to make it.
func (l *linear) dropped() Mat {
	if l.drop.rate == 0 {
		return l.cast(l.x, l.i, l.product, 1)
	}
	y := l.p.scratch(l.product, l.rows, l.i)
	l.mask(l.x, y, l.i)
	return mat(y, l.i)
}

// rounded is v (T,r) times scale for use as an operand, and the factor that is left for the product: in float32 a copy
// would only cost.
func (l *linear) rounded(v View, scale float64) (Mat, float64) {
	if l.product == kernels.Float32 {
		return mat(v, l.r), scale
	}
	m := l.cast(v, l.r, l.product, scale)
	l.flush()
	return m, 1
}

// thin says that LoRA's products are those of thin.go.
func (l *linear) thin() bool { return l.product == kernels.BFloat16 && l.r > 0 && l.r <= thinMost }

func planLinear(p *planner, kernel kernels.Kernel, in, out []View) {
	k := kernel.(kernels.Linear)
	l := linear{p: p, r: k.Rank, scale: k.Scale, x: in[0], w: in[1], o: in[1].Shape[0], i: in[1].Shape[1]}
	l.rows = l.x.Elems() / l.i
	y, xa := out[0], out[1]
	next := 2
	if k.Bias {
		l.bias, next = in[next], next+1
	}
	if k.Rank > 0 {
		l.a, l.b, next = in[next], in[next+1], next+2
	}
	if k.Dropout > 0 {
		l.drop = dropout{keys: in[next], salt: k.Salt, rate: k.Dropout}
	}
	switch {
	case !y.Wanted() && !xa.Wanted():
		return
	case l.rows <= gemvMost && k.Dropout == 0:
		l.decode(y, xa)
		return
	}
	l.setProduct(l.x, y)
	l.forward(y, xa)
}

// setProduct chooses the dtype of the products from that of the activations.
func (l *linear) setProduct(x, y View) {
	l.product = kernels.Float32
	if x.Dtype == kernels.BFloat16 || y.Dtype == kernels.BFloat16 {
		l.product = kernels.BFloat16
	}
}

// forward is xA = drop(x) Aᵀ and y = x Wᵀ + bias + Scale xA Bᵀ. By the thin kernels that is one launch for A and B in
// bfloat16, one for xA, and one or (where the term cannot be in the product's sum) two for y.
func (l *linear) forward(y, xa View) {
	all := product{Gemm: Gemm{TransB: true, Alpha: 1}}
	var b Mat
	if y.Wanted() {
		all.D = mat(y, l.o)
		all.A, all.B = l.cast(l.x, l.i, l.product, 1), l.cast(l.w, l.i, l.product, 1)
		if l.bias.Wanted() {
			m := l.cast(l.bias, l.o, y.Dtype, 1)
			all.Bias = View{Ptr: m.Ptr, Dtype: m.Dtype, Shape: []int{l.o}}
		}
		if l.r > 0 {
			b = l.cast(l.b, l.r, l.product, 1)
		}
	}
	if l.r == 0 {
		l.flush()
		l.p.gemm(all.Gemm)
		return
	}
	sxa, left := l.inner(xa)
	if y.Wanted() {
		l.addTerm(all, Gemm{A: sxa, B: b, TransB: true, Alpha: float32(left)}, dropout{})
	}
}

// inner writes xA (T,r), where it is wanted, and returns Scale xA as an operand; the second result is what is left of Scale.
func (l *linear) inner(xa View) (Mat, float64) {
	a := l.cast(l.a, l.i, l.product, 1)
	if l.thin() {
		x := l.cast(l.x, l.i, l.product, 1)
		l.flush()
		return l.p.thinMul(thinMul{x: x, w: a, trans: true, y: xa, alpha: l.drop.keep(), scale: l.scale, drop: l.drop}), 1
	}
	if !xa.Wanted() {
		xa = l.p.scratch(kernels.Float32, l.rows, l.r)
	}
	x := l.dropped()
	l.flush()
	l.p.gemm(Gemm{A: x, B: a, TransB: true, D: mat(xa, l.r), Alpha: float32(l.drop.keep())})
	return l.rounded(xa, l.scale)
}

// addTerm appends all with LoRA's term added to it. Where a kernel of our own makes the product (on Hopper it does in
// cuBLASLt's place) both are one sum; cuBLASLt adds to the term, which is rounded to D's dtype, and so does the kernel where
// dropout masks the term.
func (l *linear) addTerm(all product, term Gemm, drop dropout) {
	if l.product == kernels.BFloat16 && drop.rate == 0 && term.Alpha == 1 {
		one := all
		one.A2, one.B2 = term.A, term.B
		if !l.p.target.Lt || l.p.onHopper(one) {
			l.p.multiply(one)
			return
		}
	}
	term.D = all.D
	if l.product == kernels.BFloat16 {
		l.p.multiply(product{Gemm: term, drop: drop})
	} else {
		l.p.gemm(term)
		if drop.rate > 0 {
			d := View{Ptr: all.D.Ptr, Dtype: all.D.Dtype, Shape: []int{l.rows, l.i}}
			l.mask(d, d, l.i)
		}
	}
	all.C, all.Beta = all.D, 1
	l.p.gemm(all.Gemm)
}
