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
	X, Y   [4]Ptr
	N      [4]int64
	DX, DY [4]int32
	Scale  [4]float32
}

// cast is v, or a scaled copy of it in dtype d that the next flush makes.
func (l *linear) cast(v View, d kernels.Dtype, scale float64) View {
	if v.Dtype == d && scale == 1 {
		return v
	}
	if l.pieces == len(l.casts.X) {
		l.flush()
	}
	y := l.p.scratch(d, v.Shape...)
	c, n := &l.casts, l.pieces
	c.X[n], c.Y[n], c.N[n] = v.Ptr, y.Ptr, int64(v.Elems())
	c.DX[n], c.DY[n], c.Scale[n] = int32(v.Dtype), int32(d), float32(scale)
	l.pieces++
	return y
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

// dropped is x (T,I) in the product's dtype with what dropout drops set to 0, in scratch unless nothing is dropped.
func (l *linear) dropped() View {
	if l.drop.rate == 0 {
		x := l.cast(l.x, l.product, 1)
		l.flush()
		return x
	}
	y := l.p.scratch(l.product, l.rows, l.i)
	l.mask(l.x, y, l.i)
	return y
}

// rounded is v (T,r) times scale for use as an operand, and the factor that is left for the product: in float32 a copy
// would only cost.
func (l *linear) rounded(v View, scale float64) (View, float64) {
	if l.product == kernels.Float32 {
		return v, scale
	}
	y := l.cast(v, l.product, scale)
	l.flush()
	return y, 1
}

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

// forward is xA = drop(x) Aᵀ, y = Scale xA Bᵀ, y += x Wᵀ + bias.
func (l *linear) forward(y, xa View) {
	g := Gemm{Alpha: 1}
	if l.r > 0 && (y.Wanted() || xa.Wanted()) {
		if !xa.Wanted() {
			xa = l.p.scratch(kernels.Float32, l.rows, l.r)
		}
		a := l.cast(l.a, l.product, 1)
		l.flush()
		l.p.gemm(Gemm{
			A: mat(l.dropped(), l.i), B: mat(a, l.i), TransB: true, D: mat(xa, l.r), Alpha: float32(l.drop.keep()),
		})
	}
	if !y.Wanted() {
		return
	}
	g.D = mat(y, l.o)
	if l.r > 0 {
		b := l.cast(l.b, l.product, 1)
		sxa, scale := l.rounded(xa, l.scale)
		l.flush()
		l.p.gemm(Gemm{A: mat(sxa, l.r), B: mat(b, l.r), TransB: true, D: g.D, Alpha: float32(scale)})
		g.C, g.Beta = g.D, 1
	}
	x, w := l.cast(l.x, l.product, 1), l.cast(l.w, l.product, 1)
	if l.bias.Wanted() {
		g.Bias = l.cast(l.bias, y.Dtype, 1)
	}
	l.flush()
	g.A, g.B, g.TransB = mat(x, l.i), mat(w, l.i), true
	l.p.gemm(g)
}
