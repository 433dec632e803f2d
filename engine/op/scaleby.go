package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// ScaleBy is s·x for a scalar s that gets no gradient. The product with a Stat value is one. See kernels.ScaleBy.
func ScaleBy(x, s *G.Node) (*G.Node, error) { return Apply(scaleBy{}, x, s) }

type scaleBy struct{}

func (scaleBy) Kernel() kernels.Kernel { return kernels.ScaleBy{} }

func (scaleBy) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "x", "s"); err != nil {
		return nil, err
	}
	if err := first(float("x", in[0], -1), shape("s", in[1])); err != nil {
		return nil, err
	}
	out := in[0].shaped(in[0].Shape...)
	out.Stat = in[0].Stat
	return []Ty{out}, nil
}

func (scaleBy) DiffWRT() []bool { return []bool{true, false} }

func (scaleBy) Grad(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	dx, err := ScaleBy(grad, in[1])
	return G.Nodes{dx, nil}, err
}

func (s scaleBy) Cost(in []Ty, _ []bool) Cost { return cost(s, in, in[0].Shape.TotalSize()) }

func scaleByExamples() Examples {
	e := Examples{Refused: []Refusal{{scaleBy{}, []Operand{floats(2, 3), floats(1)}, "s has shape (1), wants 0 dimensions"}}}
	for _, n := range oddSizes() {
		e.Cases = append(e.Cases, Case{fmt.Sprint(n), scaleBy{}, []Operand{floats(n, n), stats()}})
	}
	return e
}
