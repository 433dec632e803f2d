package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// Add is a + b of one shape: residuals, and the sums of gradients. The sum of two Stat values is one. See kernels.Add.
func Add(a, b *G.Node) (*G.Node, error) { return Apply(add{}, a, b) }

type add struct{}

func (add) Kernel() kernels.Kernel { return kernels.Add{} }

func (add) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "a", "b"); err != nil {
		return nil, err
	}
	if err := first(float("a", in[0], -1), shape("b", in[1], in[0].Shape...)); err != nil {
		return nil, err
	}
	out := in[0].shaped(in[0].Shape...)
	out.Stat = in[0].Stat && in[1].Stat
	return []Ty{out}, nil
}

func (add) DiffWRT() []bool { return []bool{true, true} }

func (add) Grad(_ G.Nodes, _, grad *G.Node) (G.Nodes, error) { return G.Nodes{grad, grad}, nil }

func (s add) Cost(in []Ty, _ []bool) Cost { return cost(s, in, in[0].Shape.TotalSize()) }

func addExamples() Examples {
	e := Examples{Refused: []Refusal{{add{}, []Operand{floats(2, 3), floats(3, 2)}, "b has shape (3, 2), wants (2, 3)"}}}
	for _, n := range oddSizes() {
		e.Cases = append(e.Cases, Case{fmt.Sprint(n), add{}, []Operand{floats(n, n), floats(n, n)}})
	}
	e.Cases = append(e.Cases, Case{"long", add{}, []Operand{floats(70001), floats(70001)}})
	return e
}
