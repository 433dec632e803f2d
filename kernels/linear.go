package kernels

// Linear is a projection with the terms LoRA adds to it (Hu et al. 2021, arXiv:2106.09685), rounded once:
//
//	xA = drop(x) Aᵀ
//	y  = x Wᵀ + bias + Scale · xA Bᵀ
//
// drop(x)[t,i] = x[t,i] / (1-Dropout) where Uniform(keys[t], Salt, i) >= Dropout (compared in float32), else 0. Dropout
// touches the LoRA branch only, as in PEFT; Salt tells the layers apart. Scale is alpha/r, or alpha/sqrt(r) for rsLoRA.
// The dimensions behind the first of x and y may be several (T,H,Dh): I and O are the weight's.
//
//	in:  x (T,I), weight (O,I), bias (O) if Bias, A (r,I) and B (O,r) if Rank > 0, keys (T) int32 if Dropout > 0
//	out: y (T,O), xA (T,r) f32 (never wanted where Rank is 0)
type Linear struct {
	Bias    bool
	Rank    int
	Scale   float64
	Dropout float64
	Salt    uint32
}

// Name implements Kernel.
func (Linear) Name() string { return "linear" }

// Tol implements Kernel: float32 sums of some thousand products; in bfloat16 A, B and xA are rounded at use (0.3 % of the
// sum's size in standard deviation where LoRA is all of it) and y once. Where a library makes x Wᵀ,
// a backend may write LoRA's term to y first and have the product added to that: the delta is rounded at use, too.
func (Linear) Tol() Tol { return Tol{Float32: 1e-5, BFloat16: 1.6e-2} }

// Float32 implements Kernel.
func (k Linear) Float32(in, out []*Tensor[float32]) { linear(k, in, out) }

// Float64 implements Kernel.
func (k Linear) Float64(in, out []*Tensor[float64]) { linear(k, in, out) }

// linearIn are the inputs that Linear and LinearBwd share; those the attributes rule out are nil.
type linearIn[T Float] struct {
	x, w, bias, a, b []T
	keys             []int32
	rows, i, o       int // T, I, O
}

// drop is x with LoRA's dropout, in float64.
func (l *linearIn[T]) drop(dropout float64, salt uint32) []float64 {
	d := make([]float64, len(l.x))
	for i, v := range l.x {
		d[i] = float64(v)
	}
	l.mask(d, dropout, salt)
	return d
}

// mask sets what dropout drops to 0 and scales the rest; d is (T,I).
func (l *linearIn[T]) mask(d []float64, dropout float64, salt uint32) {
	if dropout == 0 {
		return
	}
	threshold, keep := float32(dropout), 1/(1-dropout)
	for t := range l.rows {
		ra, rb := UniformRow(uint32(l.keys[t]), salt)
		for i := range l.i {
			if UniformAt(ra, rb, uint32(i)) >= threshold {
				d[t*l.i+i] *= keep
			} else {
				d[t*l.i+i] = 0
			}
		}
	}
}

func linear[T Float](k Linear, in, out []*Tensor[T]) {
	l := linearIn[T]{x: in[0].F, w: in[1].F, o: in[1].Shape[0], i: in[1].Shape[1]}
	l.rows = len(l.x) / l.i
	next := 2
	if k.Bias {
		l.bias, next = in[next].F, next+1
	}
	if k.Rank > 0 {
		l.a, l.b, next = in[next].F, in[next+1].F, next+2
	}
	if k.Dropout > 0 {
		l.keys = in[next].I
	}
	y, outXA := wanted(out, 0), wanted(out, 1)
	var xa []float64 // (T,r)
	if k.Rank > 0 && (y != nil || outXA != nil) {
		xa = make([]float64, l.rows*k.Rank)
		mulNT(l.drop(k.Dropout, k.Salt), l.a, xa, l.rows, k.Rank, l.i)
		if outXA != nil {
			round(outXA, xa)
		}
	}
	if y == nil {
		return
	}
	sum := make([]float64, len(y))
	mulNT(l.x, l.w, sum, l.rows, l.o, l.i)
	for t := range l.rows {
		for o := range l.o {
			s := sum[t*l.o+o]
			if k.Bias {
				s += float64(l.bias[o])
			}
			if k.Rank > 0 {
				s += k.Scale * dot(xa[t*k.Rank:(t+1)*k.Rank], l.b[o*k.Rank:(o+1)*k.Rank])
			}
			y[t*l.o+o] = T(s)
		}
	}
}

// LinearBwd is the gradient of Linear. With g = dy and undrop(z) = z with the forward's dropped elements 0 and the rest
// divided by 1-Dropout:
//
//	dx = g W + Scale · undrop((g B) A),  dweight = gᵀ x,  dbias = Σ over t of g
//	dA = Scale · (g B)ᵀ drop(x),         dB = Scale · gᵀ xA
//
// x is read for dweight and dA only: where neither is wanted, engine/op puts dy in its place so that x need not be kept.
//
//	in:  x (T,I), weight (O,I), A (r,I), B (O,r) and xA (T,r) if Rank > 0, keys (T) int32 if Dropout > 0, dy (T,O)
//	out: dx (T,I), dweight (O,I) f32, dbias (O) f32, dA (r,I) f32, dB (O,r) f32
type LinearBwd struct {
	Bias    bool
	Rank    int
	Scale   float64
	Dropout float64
	Salt    uint32
}

// Name implements Kernel.
func (LinearBwd) Name() string { return "linear_bwd" }

// Tol implements Kernel: float32 sums of some thousand products; in bfloat16 A, B, xA and g B are rounded at use and dx
// once, as in Linear; LoRA's term of dx may be rounded at use, too.
func (LinearBwd) Tol() Tol { return Tol{Float32: 1e-5, BFloat16: 1.6e-2} }

// Float32 implements Kernel.
func (k LinearBwd) Float32(in, out []*Tensor[float32]) { linearBwd(k, in, out) }

// Float64 implements Kernel.
func (k LinearBwd) Float64(in, out []*Tensor[float64]) { linearBwd(k, in, out) }

func linearBwd[T Float](k LinearBwd, in, out []*Tensor[T]) {
	l := linearIn[T]{x: in[0].F, w: in[1].F, o: in[1].Shape[0], i: in[1].Shape[1]}
	var xa []T
	next := 2
	if k.Rank > 0 {
		l.a, l.b, xa, next = in[2].F, in[3].F, in[4].F, 5
	}
	if k.Dropout > 0 {
		l.keys, next = in[next].I, next+1
	}
	g := in[next].F
	l.rows = len(g) / l.o
	dx, dw, dbias, da, db := wanted(out, 0), wanted(out, 1), wanted(out, 2), wanted(out, 3), wanted(out, 4)

	var gb []float64 // g B, (T,r)
	if k.Rank > 0 && (dx != nil || da != nil) {
		gb = make([]float64, l.rows*k.Rank)
		addNN(1, g, l.b, gb, l.rows, k.Rank, l.o)
	}
	if dx != nil {
		sum := make([]float64, len(dx))
		if k.Rank > 0 {
			addNN(k.Scale, gb, l.a, sum, l.rows, l.i, k.Rank)
			l.mask(sum, k.Dropout, k.Salt)
		}
		addNN(1, g, l.w, sum, l.rows, l.i, l.o)
		round(dx, sum)
	}
	if dw != nil {
		sum := make([]float64, len(dw))
		addTN(1, g, l.x, sum, l.o, l.i, l.rows)
		round(dw, sum)
	}
	if dbias != nil {
		sum := make([]float64, len(dbias))
		for t := range l.rows {
			axpy(1, g[t*l.o:(t+1)*l.o], sum)
		}
		round(dbias, sum)
	}
	if da != nil {
		sum := make([]float64, len(da))
		addTN(k.Scale, gb, l.drop(k.Dropout, k.Salt), sum, k.Rank, l.i, l.rows)
		round(da, sum)
	}
	if db != nil {
		sum := make([]float64, len(db))
		addTN(k.Scale, g, xa, sum, l.o, k.Rank, l.rows)
		round(db, sum)
	}
}
