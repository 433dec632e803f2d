package cuda

import "attune/kernels"

type lceCompactArgs struct {
	Weights, Index, Count Ptr
	Tokens, Most          int32
}

type lceRowsArgs struct {
	X, Y, Index        Ptr
	LdX, LdY           int64
	D, DX, DY, Scatter int32
}

type lceLossArgs struct {
	Losses, Count, Loss Ptr
	Most, _             int32
}

type lceSoftmaxArgs struct {
	Logits, Index, Targets, Weights, NLL, Losses Ptr
	Ld                                           int64
	Vocab, DZ                                    int32
	Cap, _                                       float32
}

type castArgs struct {
	X, Y   Ptr
	N      int64
	DX, DY int32
}

// logitRows is for how many tokens logits are made at once, by the vocabulary alone: 256 MiB of them, within bounds.
func logitRows(vocab int) int {
	return min(2048, max(128, 256<<20/(4*vocab)/128*128))
}

// warps is n threads in whole warps, at most so many.
func warps(n, most int) int { return min(most, (n+31)&^31) }

// crossEntropy is one run of kernels.LinearCrossEntropy: the hidden states of the tokens that count are copied side by
// side, and then logits, losses and gradients are made for some tokens at a time. How many tokens count is not known when
// the plan is made: there are always steps for Most, and tokens that are not there are rows of zeros.
type crossEntropy struct {
	p                            *planner
	cap                          float64
	tokens, vocab, d, most, rows int // rows of a piece at most
	product                      kernels.Dtype
	hidden, weights, targets     View
	loss, dhidden, dweight, nll  View
	index, count, losses         View // (most), (1), (most)
	compact, gradient            Mat  // (rows, d) of hidden and of dhidden
	logits                       View // (rows, ld)
	ld                           int
	head                         Mat // the weight in the product's dtype
}

func planLinearCrossEntropy(p *planner, k kernels.Kernel, in, out []View) {
	hidden, head := in[0], in[1]
	c := crossEntropy{
		p: p, cap: k.(kernels.LinearCrossEntropy).SoftCap, most: k.(kernels.LinearCrossEntropy).Most,
		vocab: head.Shape[0], d: head.Shape[1], product: hidden.Dtype,
		hidden: hidden, targets: in[2], weights: in[3], loss: out[0], dhidden: out[1], dweight: out[2], nll: out[3],
	}
	c.tokens = hidden.Elems() / c.d
	if c.most == 0 || c.most > c.tokens {
		c.most = c.tokens
	}
	for _, v := range []View{c.nll, c.dhidden} {
		if v.Wanted() {
			p.zero(v)
		}
	}
	if !c.loss.Wanted() && !c.dhidden.Wanted() && !c.dweight.Wanted() && !c.nll.Wanted() {
		return
	}
	c.reserve(head)
	launch(p, "lce_compact", warps(c.tokens, 1024), 128, lceCompactArgs{
		Weights: c.weights.Ptr, Index: c.index.Ptr, Count: c.count.Ptr, Tokens: int32(c.tokens), Most: int32(c.most),
	}, 1)
	for first := 0; first < c.most; first += c.rows {
		c.piece(first, min(c.rows, c.most-first))
	}
	if c.loss.Wanted() {
		launch(p, "lce_loss", 256, 64, lceLossArgs{Losses: c.losses.Ptr, Count: c.count.Ptr, Loss: c.loss.Ptr, Most: int32(c.most)}, 1)
	}
}

// reserve takes the working memory, and makes a copy of the weight where it has another dtype than the products.
func (c *crossEntropy) reserve(head View) {
	p := c.p
	c.rows = min(c.most, logitRows(c.vocab))
	c.index, c.count, c.losses = p.scratch(kernels.Int32, c.most), p.scratch(kernels.Int32, 1), p.scratch(kernels.Float64, c.most)
	c.ld = (c.vocab + 7) &^ 7
	c.logits = p.scratch(kernels.Float32, c.rows, c.ld)
	side := func(d kernels.Dtype) Mat {
		ld := (c.d + 7) &^ 7
		return Mat{Ptr: p.scratch(d, c.rows, ld).Ptr, Dtype: d, Rows: c.rows, Cols: c.d, LD: ld}
	}
	c.compact = side(c.product)
	if c.dhidden.Wanted() {
		c.gradient = side(c.dhidden.Dtype)
	}
	if head.Dtype != c.product {
		copied := p.scratch(c.product, c.vocab, c.d)
		launch(p, "cast", 256, 0, castArgs{X: head.Ptr, Y: copied.Ptr, N: int64(head.Elems()), DX: int32(head.Dtype), DY: int32(c.product)},
			blocks(head.Elems(), elementsABlock))
		head = copied
	}
	c.head = Mat{Ptr: head.Ptr, Dtype: c.product, Rows: c.vocab, Cols: c.d, LD: c.d}
}

// piece makes all that n tokens give, from the first of those that count on.
func (c *crossEntropy) piece(first, n int) {
	p, index := c.p, c.index.Ptr+Ptr(4*first)
	compact, gradient := c.compact, c.gradient
	compact.Rows, gradient.Rows = n, n
	launch(p, "lce_rows", 128, 0, lceRowsArgs{
		X: c.hidden.Ptr, Y: compact.Ptr, Index: index, LdX: int64(c.d), LdY: int64(compact.LD), D: int32(c.d),
		DX: int32(c.hidden.Dtype), DY: int32(compact.Dtype),
	}, n)
	logits := Mat{Ptr: c.logits.Ptr, Dtype: kernels.Float32, Rows: n, Cols: c.vocab, LD: c.ld}
	p.gemm(Gemm{A: compact, B: c.head, TransB: true, D: logits, Alpha: 1})

	a := lceSoftmaxArgs{
		Logits: logits.Ptr, Index: index, Targets: c.targets.Ptr, Weights: c.weights.Ptr, NLL: c.nll.Ptr,
		Losses: c.losses.Ptr + Ptr(8*first), Ld: int64(c.ld), Vocab: int32(c.vocab), Cap: float32(c.cap),
	}
	dz := logits
	if c.dhidden.Wanted() || c.dweight.Wanted() {
		a.DZ = int32(c.product)
	}
	if c.product == kernels.BFloat16 {
		dz.Dtype, dz.LD = c.product, 2*c.ld
	}
	launch(p, "lce_softmax", warps(blocks(c.vocab, 8), 512), 64, a, n)
	if c.dhidden.Wanted() {
		p.gemm(Gemm{A: dz, B: c.head, D: gradient, Alpha: 1})
		launch(p, "lce_rows", 128, 0, lceRowsArgs{
			X: gradient.Ptr, Y: c.dhidden.Ptr, Index: index, LdX: int64(gradient.LD), LdY: int64(c.d), D: int32(c.d),
			DX: int32(gradient.Dtype), DY: int32(c.dhidden.Dtype), Scatter: 1,
		}, n)
	}
	if c.dweight.Wanted() {
		dw := Mat{Ptr: c.dweight.Ptr, Dtype: kernels.Float32, Rows: c.vocab, Cols: c.d, LD: c.d}
		p.gemm(Gemm{A: dz, TransA: true, B: compact, C: dw, D: dw, Alpha: 1, Beta: float32(flag(first > 0))})
	}
}
