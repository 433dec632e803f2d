package cpu

import (
	"fmt"

	"attune/kernels"
)

// crossEntropyShape are the operands of kernels.LinearCrossEntropy, which shapes.Check has passed.
type crossEntropyShape struct {
	rows, vocab, dim                 int // T, V, D
	cap                              float64
	hidden, weight, targets, weights View
	loss, dhidden, dweight, nll      View
}

func (s *crossEntropyShape) bf16() bool { return s.hidden.Dtype == kernels.BFloat16 }

func newCrossEntropy(k kernels.LinearCrossEntropy, in, out []View) *crossEntropyShape {
	s := &crossEntropyShape{cap: k.SoftCap, hidden: in[0], weight: in[1], targets: in[2], weights: in[3]}
	s.loss, s.dhidden, s.dweight, s.nll = out[0], out[1], out[2], out[3]
	s.vocab, s.dim = s.weight.Shape[0], s.weight.Shape[1]
	s.rows = s.hidden.elems() / s.dim
	return s
}

// trained lists the rows whose weight is not 0, and checks their targets.
func (s *crossEntropyShape) trained() ([]int, error) {
	var rows []int
	targets := s.targets.i32()
	for t, w := range s.weights.f32() {
		if w == 0 {
			continue
		}
		if v := targets[t]; v < 0 || int(v) >= s.vocab {
			return nil, fmt.Errorf("target of token %d is %d, must be in [0, %d)", t, v, s.vocab)
		}
		rows = append(rows, t)
	}
	return rows, nil
}
