package shapes

import (
	"fmt"
	"slices"

	"attune/kernels"
)

func (c *checker) accumulate() {
	acc := c.in[0]
	c.stored("acc", acc, kernels.Float32, acc.Shape...)
	c.floating("x", c.in[1], acc.Shape...)
	c.stored("output acc", c.out[0], kernels.Float32, acc.Shape...)
}

func (c *checker) scaleBy() {
	x := c.in[0]
	c.floating("x", x, x.Shape...)
	c.stored("s", c.in[1], kernels.Float32)
	c.floating("y", c.out[0], x.Shape...)
}

func (c *checker) sumSq() {
	c.floating("x", c.in[0], c.in[0].Shape...)
	c.stored("s", c.out[0], kernels.Float32)
}

// gate is swiglu and its gradient: all operands are alike.
func (c *checker) gate(act string) {
	if !slices.Contains(kernels.Activations(), act) {
		c.fail("no activation %q, there are %v", act, kernels.Activations())
	}
	c.alike()
}

func (c *checker) adamW() {
	param := c.in[0]
	for i, o := range slices.Concat(c.in[:4], c.out) {
		c.stored(fmt.Sprintf("operand %d", i), o, kernels.Float32, param.Shape...)
	}
	c.stored("hyper", c.in[4], kernels.Float32, 4)
}

func (c *checker) rmsNorm() {
	x, w, y, rstd := c.in[0], c.in[1], c.out[0], c.out[1]
	c.floating("x", x, x.Shape...)
	c.floating("weight", w, x.cols())
	c.floating("y", y, x.Shape...)
	c.stored("rstd", rstd, kernels.Float32, x.rows())
}

func (c *checker) rmsNormBwd() {
	x, w, rstd, dy, dx, dw := c.in[0], c.in[1], c.in[2], c.in[3], c.out[0], c.out[1]
	c.floating("x", x, x.Shape...)
	c.floating("weight", w, x.cols())
	c.stored("rstd", rstd, kernels.Float32, x.rows())
	c.floating("dy", dy, x.Shape...)
	c.floating("dx", dx, x.Shape...)
	c.stored("dweight", dw, kernels.Float32, x.cols())
}

func (c *checker) rope(k kernels.RoPE) {
	x, positions, y := c.in[0], c.in[1], c.out[0]
	if len(x.Shape) != 3 || x.Shape[2] != 2*len(k.InvFreq) {
		c.fail("x is %v, must be (T,H,%d) for %d frequencies", x.Shape, 2*len(k.InvFreq), len(k.InvFreq))
		return
	}
	c.floating("x", x, x.Shape...)
	c.stored("positions", positions, kernels.Int32, x.Shape[0])
	c.floating("y", y, x.Shape...)
}

// pickRows is rows and embed.
func (c *checker) pickRows() {
	x, index, y := c.in[0], c.in[1], c.out[0]
	if len(x.Shape) != 2 || len(index.Shape) != 1 {
		c.fail("rows of %v by indices %v, must be a matrix and a vector", x.Shape, index.Shape)
		return
	}
	c.floating("x", x, x.Shape...)
	c.stored("index", index, kernels.Int32, index.Shape...)
	c.floating("y", y, index.Shape[0], x.Shape[1])
}

func (c *checker) embedBwd() {
	ids, dy, dw := c.in[0], c.in[1], c.out[0]
	if len(ids.Shape) != 1 || len(dy.Shape) != 2 || dw.wanted() && len(dw.Shape) != 2 {
		c.fail("ids %v, dy %v, dweight %v, must be (T), (T,D), (V,D)", ids.Shape, dy.Shape, dw.Shape)
		return
	}
	c.stored("ids", ids, kernels.Int32, ids.Shape...)
	c.floating("dy", dy, ids.Shape[0], dy.Shape[1])
	if dw.wanted() {
		c.stored("dweight", dw, kernels.Float32, dw.Shape[0], dy.Shape[1])
	}
}

func (c *checker) nf4(k kernels.NF4) {
	codes, absmax, y := c.in[0], c.in[1], c.out[0]
	if k.Block <= 0 {
		c.fail("blocks of %d numbers, must be of 1 or more", k.Block)
		return
	}
	n := 8 * codes.Elems()
	c.stored("codes", codes, kernels.Int32, n/8)
	c.stored("absmax", absmax, kernels.Float32, (n+k.Block-1)/k.Block)
	c.floating("y", y, n)
}
