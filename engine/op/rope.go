package op

import (
	"fmt"
	"math"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// RoPE turns queries or keys by their positions: x (T,H,Dh), positions (T) int32 -> (T,H,Dh). invFreq has Dh/2 elements;
// scale multiplies the result (YaRN's attention factor, else 1). See kernels.RoPE.
func RoPE(x, positions *G.Node, invFreq []float64, scale float64) (*G.Node, error) {
	return Apply(rope{kernels.RoPE{InvFreq: invFreq, Scale: scale}}, x, positions)
}

type rope struct{ k kernels.RoPE }

func (s rope) Kernel() kernels.Kernel { return s.k }

func (s rope) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "x", "positions"); err != nil {
		return nil, err
	}
	if err := float("x", in[0], 3); err != nil {
		return nil, err
	}
	if err := integers("positions", in[1], in[0].Shape[0]); err != nil {
		return nil, err
	}
	if dh := in[0].Shape[2]; dh != 2*len(s.k.InvFreq) {
		return nil, fmt.Errorf("head_dim (%d) must be twice the number of frequencies (%d)", dh, len(s.k.InvFreq))
	}
	return []Ty{in[0].shaped(in[0].Shape...)}, nil
}

func (rope) DiffWRT() []bool { return []bool{true, false} }

func (s rope) Grad(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	back := s
	back.k.Inverse = !s.k.Inverse
	dx, err := Apply(back, grad, in[1])
	return G.Nodes{dx, nil}, err
}

func (s rope) Cost(in []Ty, _ []bool) Cost { return cost(s, in, 3*in[0].Shape.TotalSize()) }

func ropeExamples() Examples {
	spec := func(half int, scale float64) rope {
		k := kernels.RoPE{Scale: scale}
		for i := range half {
			k.InvFreq = append(k.InvFreq, math.Pow(10000, -float64(i)/float64(half)))
		}
		return rope{k}
	}
	e := Examples{Refused: []Refusal{
		{spec(2, 1), []Operand{floats(3, 2, 6), ints(0, 1, 2)}, "head_dim (6) must be twice the number of frequencies (2)"},
		{spec(2, 1), []Operand{floats(3, 2, 4), ints(0, 1)}, "positions has 2 elements, wants one for each of the 3 tokens"},
	}}
	for _, n := range oddSizes() {
		e.Cases = append(e.Cases, Case{fmt.Sprint(n), spec(n/2+1, 1), []Operand{floats(n, 3, 2*(n/2+1)), cycle(n, 900)}})
	}
	e.Cases = append(e.Cases,
		Case{"scaled", spec(16, 1.25), []Operand{floats(7, 1, 32), cycle(7, 100)}},
		Case{"far", spec(32, 1), []Operand{floats(3, 2, 64), ints(0, 8191, 131071)}})
	return e
}
