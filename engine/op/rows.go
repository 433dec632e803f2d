package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// Rows picks the rows of x (T,D) whose logits are wanted: index (N) int32 -> (N,D). It is for generation and has no
// gradient. See kernels.Rows.
func Rows(x, index *G.Node) (*G.Node, error) { return Apply(rows{}, x, index) }

type rows struct{ gradless }

func (rows) Kernel() kernels.Kernel { return kernels.Rows{} }

func (rows) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "x", "index"); err != nil {
		return nil, err
	}
	if err := first(float("x", in[0], 2), integers("index", in[1], -1)); err != nil {
		return nil, err
	}
	return []Ty{in[0].shaped(in[1].Shape[0], in[0].Shape[1])}, nil
}

func (rows) Cost(in []Ty, _ []bool) Cost {
	n, d := in[1].Shape[0], in[0].Shape[1]
	return Cost{Bytes: int64(2*n*d*int(in[0].Dtype.Size()) + 4*n)}
}

func rowsExamples() Examples {
	e := Examples{Refused: []Refusal{{rows{}, []Operand{floats(2, 3, 4), ints(1)}, "x has shape (2, 3, 4), wants 2 dimensions"}}}
	for _, n := range oddSizes() {
		e.Cases = append(e.Cases, Case{fmt.Sprint(n), rows{}, []Operand{floats(n, n+1), cycle(n/2+1, n)}})
	}
	return e
}
