package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// RMSNorm normalises the last dimension: x (...,D), weight (D) -> (...,D). Side output 1 is rstd. See kernels.RMSNorm.
func RMSNorm(x, weight *G.Node, eps float64) (*G.Node, error) {
	return Apply(rmsNorm{kernels.RMSNorm{Eps: eps}}, x, weight)
}

type rmsNorm struct{ k kernels.RMSNorm }

func (s rmsNorm) Kernel() kernels.Kernel { return s.k }

func (s rmsNorm) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "x", "weight"); err != nil {
		return nil, err
	}
	if err := first(float("x", in[0], -1), float("weight", in[1], 1)); err != nil {
		return nil, err
	}
	if s.k.Eps < 0 {
		return nil, fmt.Errorf("eps is %g, wants 0 or more", s.k.Eps)
	}
	rows, err := normRows(in[0], in[1])
	if err != nil {
		return nil, err
	}
	return []Ty{in[0].shaped(in[0].Shape...), in[0].stat(rows)}, nil
}

// normRows is the number of rows of x (...,D) under a weight (D).
func normRows(x, weight Ty) (int, error) {
	if len(x.Shape) == 0 {
		return 0, fmt.Errorf("x is a scalar, wants at least 1 dimension")
	}
	d := x.Shape[len(x.Shape)-1]
	if d != weight.Shape[0] {
		return 0, fmt.Errorf("x has shape %v, its last dimension (%d) must equal the weight's (%d)", x.Shape, d, weight.Shape[0])
	}
	return x.Shape.TotalSize() / d, nil
}

func (rmsNorm) DiffWRT() []bool { return []bool{true, true} }

func (rmsNorm) Grad(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	dx, err := Apply(rmsNormBwd{}, in[0], in[1], Side(out, 1), grad)
	if err != nil {
		return nil, err
	}
	return G.Nodes{dx, Side(dx, 1)}, nil
}

func (s rmsNorm) Cost(in []Ty, _ []bool) Cost { return cost(s, in, 4*in[0].Shape.TotalSize()) }

// rmsNormBwd: x, weight, rstd, dy -> dx, dweight.
type rmsNormBwd struct{ gradless }

func (rmsNormBwd) Kernel() kernels.Kernel { return kernels.RMSNormBwd{} }

func (rmsNormBwd) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "x", "weight", "rstd", "dy"); err != nil {
		return nil, err
	}
	if err := first(float("x", in[0], -1), float("weight", in[1], 1)); err != nil {
		return nil, err
	}
	rows, err := normRows(in[0], in[1])
	if err != nil {
		return nil, err
	}
	if err := first(shape("rstd", in[2], rows), shape("dy", in[3], in[0].Shape...)); err != nil {
		return nil, err
	}
	return []Ty{in[0].shaped(in[0].Shape...), in[0].stat(in[1].Shape[0])}, nil
}

func (s rmsNormBwd) Cost(in []Ty, _ []bool) Cost { return cost(s, in, 9*in[0].Shape.TotalSize()) }

func rmsNormExamples() Examples {
	s := rmsNorm{kernels.RMSNorm{Eps: 1e-5}}
	e := Examples{Refused: []Refusal{
		{s, []Operand{floats(3, 4), floats(5)}, "x has shape (3, 4), its last dimension (4) must equal the weight's (5)"},
		{rmsNorm{kernels.RMSNorm{Eps: -1}}, []Operand{floats(3, 4), floats(4)}, "eps is -1"},
		{s, []Operand{ints(1, 2), floats(2)}, "x is int32"},
	}}
	for _, n := range oddSizes() {
		e.Cases = append(e.Cases, Case{fmt.Sprint(n), s, []Operand{floats(n, n+1), params(n + 1)}})
	}
	e.Cases = append(e.Cases,
		Case{"heads", s, []Operand{floats(9, 3, 5), params(5)}},
		Case{"wide", s, []Operand{floats(37, 576), params(576)}},
		Case{"tall", s, []Operand{floats(517, 3), params(3)}},
		Case{"large values", s, []Operand{floats(5, 67).fill(func(u float64) float64 { return 1e4 * u }), params(67)}},
		Case{"tiny values", s, []Operand{floats(5, 67).fill(func(u float64) float64 { return 1e-4 * u }), params(67)}},
		Case{"frozen weight", s, []Operand{floats(7, 33), params(33).frozen()}},
	)
	return e
}
