package op

import (
	"fmt"

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

func (s rope) Cost(in []Ty) Cost { return cost(s, in, 3*in[0].Shape.TotalSize()) }
