package cpu

import (
	"fmt"

	"attune/kernels"
)

// linearShape are the operands of kernels.Linear and LinearBwd, checked against each other.
type linearShape struct {
	rows, i, o, rank      int // T, I, O, r
	scale                 float64
	drop                  dropout
	x, w, bias, a, b, xa  View
	y                     View // dy in LinearBwd
	dx, dw, dbias, da, db View
}

// dropout is kernels.Linear's; a rate of 0 is none.
type dropout struct {
	keys []int32 // by row
	salt uint32
	rate float64
}

// bf16 is whether products round their operands to bfloat16: they do where activations are stored so.
func (s *linearShape) bf16() bool {
	return s.y.Dtype == kernels.BFloat16 || s.x.Dtype == kernels.BFloat16
}

func newLinear(k kernels.Linear, in, out []View) (*linearShape, error) {
	c := operandReader{in: in, out: out}
	s := &linearShape{rank: k.Rank, scale: k.Scale, drop: dropout{salt: k.Salt, rate: k.Dropout}}
	s.x, s.w = c.next(), c.next()
	if k.Bias {
		s.bias = c.next()
	}
	if k.Rank > 0 {
		s.a, s.b = c.next(), c.next()
	}
	s.y, s.xa = c.output(), c.output()
	s.weightShape(&c)
	s.rows = c.rows("x", s.x, s.i)
	s.adapterShape(&c, k.Dropout)
	if k.Bias {
		c.elems("bias", s.bias, s.o)
	}
	return s, c.finish()
}

func newLinearBwd(k kernels.LinearBwd, in, out []View) (*linearShape, error) {
	c := operandReader{in: in, out: out}
	s := &linearShape{rank: k.Rank, scale: k.Scale, drop: dropout{salt: k.Salt, rate: k.Dropout}}
	s.x, s.w = c.next(), c.next()
	if k.Rank > 0 {
		s.a, s.b, s.xa = c.next(), c.next(), c.next()
	}
	s.dx, s.dw, s.dbias, s.da, s.db = c.output(), c.output(), c.output(), c.output(), c.output()
	s.weightShape(&c)
	if len(in) > 0 {
		s.y = in[len(in)-1] // behind the keys
	}
	s.rows = c.rows("dy", s.y, s.o)
	s.adapterShape(&c, k.Dropout)
	c.next()
	if s.dw.wanted() || s.rank > 0 && s.da.wanted() {
		c.elems("x", s.x, s.rows*s.i) // otherwise anything may stand in its place
	}
	c.elems("dx", s.dx, s.rows*s.i)
	c.elems("dweight", s.dw, s.o*s.i)
	c.elems("dbias", s.dbias, s.o)
	c.elems("dA", s.da, s.rank*s.i)
	c.elems("dB", s.db, s.o*s.rank)
	for _, v := range []View{s.dbias, s.dw, s.da, s.db} {
		c.float32("gradient of a parameter", v)
	}
	return s, c.finish()
}

func (s *linearShape) weightShape(c *operandReader) {
	if len(s.w.Shape) != 2 || s.w.Shape[0] <= 0 || s.w.Shape[1] <= 0 {
		c.fail("weight %v is not (outputs, inputs)", s.w.Shape)
		return
	}
	s.o, s.i = s.w.Shape[0], s.w.Shape[1]
}

// adapterShape checks A, B, xA, y and takes the keys.
func (s *linearShape) adapterShape(c *operandReader, rate float64) {
	c.elems("y", s.y, s.rows*s.o)
	if s.rank > 0 {
		c.elems("A", s.a, s.rank*s.i)
		c.elems("B", s.b, s.o*s.rank)
		c.elems("xA", s.xa, s.rows*s.rank)
		c.float32("xA", s.xa)
	}
	if rate < 0 || rate >= 1 {
		c.fail("dropout is %g, must be in [0, 1)", rate)
	}
	if rate > 0 {
		v := c.next()
		if v.Dtype != kernels.Int32 || v.elems() != s.rows {
			c.fail("keys are %s%v, must be int32[%d]", v.Dtype, v.Shape, s.rows)
		} else if v.wanted() {
			s.drop.keys = v.i32()
		}
	}
}

// operandReader takes operands in order and keeps the first complaint.
type operandReader struct {
	in, out []View
	n       int // inputs taken
	err     error
}

func (c *operandReader) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// next is the next input; where it is missing, one without elements, which finish complains about.
func (c *operandReader) next() View {
	c.n++
	if c.n > len(c.in) {
		return View{Shape: []int{0}}
	}
	return c.in[c.n-1]
}

// output is the next output, not wanted if there are no more.
func (c *operandReader) output() View {
	if len(c.out) == 0 {
		return View{}
	}
	v := c.out[0]
	c.out = c.out[1:]
	return v
}

// rows is how many rows of cols elements v has, at least one.
func (c *operandReader) rows(what string, v View, cols int) int {
	n := v.elems()
	if cols <= 0 || n == 0 || n%cols != 0 {
		c.fail("%s%v has no rows of %d", what, v.Shape, cols)
		return 1
	}
	c.elems(what, v, n)
	return n / cols
}

// elems checks the number of elements of an operand that is stored as float32 or bfloat16. A missing output passes.
func (c *operandReader) elems(what string, v View, n int) {
	switch {
	case v.Dtype == 0 && v.Data == nil:
	case v.Dtype == kernels.Float16:
		if c.err == nil {
			c.err = errDecline
		}
	case v.Dtype != kernels.Float32 && v.Dtype != kernels.BFloat16 || v.elems() != n:
		c.fail("%s is %s%v, must be floating-point of %d elements", what, v.Dtype, v.Shape, n)
	}
}

func (c *operandReader) float32(what string, v View) {
	if v.wanted() && v.Dtype != kernels.Float32 {
		c.fail("%s is %s, must be float32", what, v.Dtype)
	}
}

func (c *operandReader) finish() error {
	if c.n != len(c.in) {
		c.fail("%d inputs, takes %d", len(c.in), c.n)
	}
	if len(c.out) > 0 {
		c.fail("%d outputs too many", len(c.out))
	}
	return c.err
}
