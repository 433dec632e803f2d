package op

import (
	"fmt"
	"slices"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// SwiGLU is act(gate)·up, both (T,F) -> (T,F); act is one of kernels.Activations. See kernels.SwiGLU.
func SwiGLU(act string, gate, up *G.Node) (*G.Node, error) {
	return Apply(swiGLU{kernels.SwiGLU{Act: act}}, gate, up)
}

type swiGLU struct{ k kernels.SwiGLU }

func (s swiGLU) Kernel() kernels.Kernel { return s.k }

func (s swiGLU) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "gate", "up"); err != nil {
		return nil, err
	}
	if acts := kernels.Activations(); !slices.Contains(acts, s.k.Act) {
		return nil, fmt.Errorf("activation %q is none of %q", s.k.Act, acts)
	}
	if err := first(float("gate", in[0], -1), shape("up", in[1], in[0].Shape...)); err != nil {
		return nil, err
	}
	return []Ty{in[0].shaped(in[0].Shape...)}, nil
}

func (swiGLU) DiffWRT() []bool { return []bool{true, true} }

func (s swiGLU) Grad(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	dgate, err := Apply(swiGLUBwd{k: kernels.SwiGLUBwd(s.k)}, in[0], in[1], grad)
	if err != nil {
		return nil, err
	}
	return G.Nodes{dgate, Side(dgate, 1)}, nil
}

func (s swiGLU) Cost(in []Ty, _ []bool) Cost { return cost(s, in, 5*in[0].Shape.TotalSize()) }

// swiGLUBwd: gate, up, dh -> dgate, dup.
type swiGLUBwd struct {
	gradless
	k kernels.SwiGLUBwd
}

func (s swiGLUBwd) Kernel() kernels.Kernel { return s.k }

func (s swiGLUBwd) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "gate", "up", "dh"); err != nil {
		return nil, err
	}
	gate := in[0]
	if err := first(float("gate", gate, -1), shape("up", in[1], gate.Shape...), shape("dh", in[2], gate.Shape...)); err != nil {
		return nil, err
	}
	return []Ty{gate.shaped(gate.Shape...), gate.shaped(gate.Shape...)}, nil
}

func (s swiGLUBwd) Cost(in []Ty, _ []bool) Cost { return cost(s, in, 10*in[0].Shape.TotalSize()) }

func swiGLUExamples() Examples {
	e := Examples{Refused: []Refusal{
		{swiGLU{kernels.SwiGLU{Act: "relu"}}, []Operand{floats(2, 3), floats(2, 3)}, `activation "relu" is none of ["silu" "gelu_tanh" "gelu"]`},
		{swiGLU{kernels.SwiGLU{Act: "silu"}}, []Operand{floats(2, 3), floats(2, 4)}, "up has shape (2, 4), wants (2, 3)"},
	}}
	for _, act := range kernels.Activations() {
		s := swiGLU{kernels.SwiGLU{Act: act}}
		for _, n := range oddSizes() {
			e.Cases = append(e.Cases, Case{fmt.Sprintf("%s %d", act, n), s, []Operand{floats(n, n+2), floats(n, n+2)}})
		}
		wide := floats(7, 99).fill(func(u float64) float64 { return 30 * u * u * u })
		e.Cases = append(e.Cases, Case{act + " far from zero", s, []Operand{wide, floats(7, 99)}})
	}
	return e
}
