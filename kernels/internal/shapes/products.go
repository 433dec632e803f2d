package shapes

import "attune/kernels"

// weight is the (outputs, inputs) of a matrix, at least one of each.
func (c *checker) weight(w Operand) (o, i int) {
	if len(w.Shape) != 2 || w.Shape[0] <= 0 || w.Shape[1] <= 0 {
		c.fail("weight %v is not (outputs, inputs)", w.Shape)
		return 1, 1
	}
	c.elems("weight", w, w.Elems())
	return w.Shape[0], w.Shape[1]
}

// adapter checks A, B, xA and the keys of dropout.
func (c *checker) adapter(a, b, xa, keys Operand, rank, rows, o, i int, rate float64) {
	if rank > 0 {
		c.elems("A", a, rank*i)
		c.elems("B", b, o*rank)
		c.elems("xA", xa, rows*rank)
		c.float32("xA", xa)
	}
	switch {
	case !(rate >= 0 && rate < 1):
		c.fail("dropout is %g, must be in [0, 1)", rate)
	case rate > 0 && (keys.Dtype != kernels.Int32 || keys.Elems() != rows):
		c.fail("keys are %s%v, must be int32[%d]", keys.Dtype, keys.Shape, rows)
	}
}

// linear: the dimensions behind the first of x and y may be several, so that only the number of elements counts.
func (c *checker) linear(k kernels.Linear) {
	in, y, xa := c.in[2:], c.out[0], c.out[1]
	x := c.in[0]
	o, i := c.weight(c.in[1])
	rows := c.rowsOf("x", x, i)
	if k.Bias {
		c.elems("bias", in[0], o)
		in = in[1:]
	}
	var a, b, keys Operand
	if k.Rank > 0 {
		a, b, in = in[0], in[1], in[2:]
	}
	if k.Dropout > 0 {
		keys = in[0]
	}
	c.elems("y", y, rows*o)
	c.adapter(a, b, xa, keys, k.Rank, rows, o, i, k.Dropout)
}

// linearBwd: x matters where a gradient of a weight is wanted; otherwise anything may stand in its place.
func (c *checker) linearBwd(k kernels.LinearBwd) {
	x, in, dy := c.in[0], c.in[2:len(c.in)-1], c.in[len(c.in)-1]
	dx, dw, dbias, da, db := c.out[0], c.out[1], c.out[2], c.out[3], c.out[4]
	o, i := c.weight(c.in[1])
	rows := c.rowsOf("dy", dy, o)
	var a, b, xa, keys Operand
	if k.Rank > 0 {
		a, b, xa, in = in[0], in[1], in[2], in[3:]
	}
	if k.Dropout > 0 {
		keys = in[0]
	}
	c.adapter(a, b, xa, keys, k.Rank, rows, o, i, k.Dropout)
	if dw.wanted() || k.Rank > 0 && da.wanted() {
		c.elems("x", x, rows*i)
	}
	c.elems("dx", dx, rows*i)
	c.elems("dweight", dw, o*i)
	c.elems("dbias", dbias, o)
	c.elems("dA", da, k.Rank*i)
	c.elems("dB", db, o*k.Rank)
	c.float32("gradient of a parameter", dbias, dw, da, db)
}

func (c *checker) crossEntropy() {
	hidden, w, targets, weights := c.in[0], c.in[1], c.in[2], c.in[3]
	loss, dhidden, dweight, nll := c.out[0], c.out[1], c.out[2], c.out[3]
	if len(w.Shape) != 2 || w.Elems() == 0 {
		c.fail("weight %v is not (vocabulary, hidden size)", w.Shape)
		return
	}
	vocab, dim := w.Shape[0], w.Shape[1]
	c.elems("weight", w, vocab*dim)
	rows := c.rowsOf("hidden", hidden, dim)
	if targets.Dtype != kernels.Int32 || targets.Elems() != rows {
		c.fail("targets are %s%v, must be int32[%d]", targets.Dtype, targets.Shape, rows)
	}
	c.elems("weights", weights, rows)
	c.elems("loss", loss, 1)
	c.elems("dhidden", dhidden, rows*dim)
	c.elems("dweight", dweight, vocab*dim)
	c.elems("nll", nll, rows)
	c.float32("weights, loss, dweight or nll", weights, loss, dweight, nll)
}
