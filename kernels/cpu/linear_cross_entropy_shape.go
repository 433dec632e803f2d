package cpu

import "attune/kernels"

// crossEntropyShape are the operands of kernels.LinearCrossEntropy, checked against each other.
type crossEntropyShape struct {
	rows, vocab, dim                 int // T, V, D
	cap                              float64
	hidden, weight, targets, weights View
	loss, dhidden, dweight, nll      View
}

func (s *crossEntropyShape) bf16() bool { return s.hidden.Dtype == kernels.BFloat16 }

func newCrossEntropy(k kernels.LinearCrossEntropy, in, out []View) (*crossEntropyShape, error) {
	c := operandReader{in: in, out: out}
	s := &crossEntropyShape{cap: k.SoftCap, hidden: c.next(), weight: c.next(), targets: c.next(), weights: c.next()}
	s.loss, s.dhidden, s.dweight, s.nll = c.output(), c.output(), c.output(), c.output()
	if len(s.weight.Shape) != 2 || s.weight.elems() == 0 {
		c.fail("weight %v is not (vocabulary, hidden size)", s.weight.Shape)
		return s, c.finish()
	}
	s.vocab, s.dim = s.weight.Shape[0], s.weight.Shape[1]
	c.elems("weight", s.weight, s.vocab*s.dim)
	s.rows = c.rows("hidden", s.hidden, s.dim)
	if s.targets.Dtype != kernels.Int32 || s.targets.elems() != s.rows {
		c.fail("targets are %s%v, must be int32[%d]", s.targets.Dtype, s.targets.Shape, s.rows)
	}
	c.elems("weights", s.weights, s.rows)
	c.elems("loss", s.loss, 1)
	c.elems("dhidden", s.dhidden, s.rows*s.dim)
	c.elems("dweight", s.dweight, s.vocab*s.dim)
	c.elems("nll", s.nll, s.rows)
	for _, v := range []View{s.weights, s.loss, s.dweight, s.nll} {
		c.float32("weights, loss, dweight or nll", v)
	}
	return s, c.finish()
}

// trained lists the rows whose weight is not 0, and checks their targets.
func (s *crossEntropyShape) trained() ([]int, error) {
	var rows []int
	c := operandReader{}
	targets := s.targets.i32()
	for t, w := range s.weights.f32() {
		if w == 0 {
			continue
		}
		if v := targets[t]; v < 0 || int(v) >= s.vocab {
			c.fail("target of token %d is %d, must be in [0, %d)", t, v, s.vocab)
		}
		rows = append(rows, t)
	}
	return rows, c.err
}
