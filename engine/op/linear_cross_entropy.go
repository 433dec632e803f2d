package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// LinearCrossEntropy is the output head and the loss in one, without logits in memory: hidden (T,D), weight (V,D),
// targets (T) int32, weights (T) -> the loss, a scalar. softCap 0 = none. Its gradients are made in the same pass as side
// outputs 1 (dhidden) and 2 (dweight); side output 3 is nll (T). See kernels.LinearCrossEntropy.
func LinearCrossEntropy(hidden, weight, targets, weights *G.Node, softCap float64) (*G.Node, error) {
	return Apply(linearCrossEntropy{kernels.LinearCrossEntropy{SoftCap: softCap}}, hidden, weight, targets, weights)
}

type linearCrossEntropy struct{ k kernels.LinearCrossEntropy }

func (s linearCrossEntropy) Kernel() kernels.Kernel { return s.k }

func (s linearCrossEntropy) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "hidden", "weight", "targets", "weights"); err != nil {
		return nil, err
	}
	hidden, weight := in[0], in[1]
	if err := first(float("hidden", hidden, 2), float("weight", weight, 2)); err != nil {
		return nil, err
	}
	tokens := hidden.Shape[0]
	switch {
	case hidden.Shape[1] != weight.Shape[1]:
		return nil, fmt.Errorf("hidden has %d values a token, the weight has %d inputs", hidden.Shape[1], weight.Shape[1])
	case s.k.SoftCap < 0:
		return nil, fmt.Errorf("soft cap is %g, wants 0 (none) or more", s.k.SoftCap)
	}
	if err := first(integers("targets", in[2], tokens), shape("weights", in[3], tokens)); err != nil {
		return nil, err
	}
	return []Ty{hidden.stat(), hidden.shaped(hidden.Shape...), hidden.stat(weight.Shape...), hidden.stat(tokens)}, nil
}

// Loss implements Loss: the seed of Backward needs no node.
func (linearCrossEntropy) Loss() {}

func (linearCrossEntropy) DiffWRT() []bool { return []bool{true, true, false, false} }

func (s linearCrossEntropy) Grad(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	return s.GradOf(s.DiffWRT(), in, out, grad)
}

// GradOf leaves out what is not wanted, because a side output somebody asks for is computed.
func (linearCrossEntropy) GradOf(wanted []bool, _ G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	grads := make(G.Nodes, 4)
	for i, w := range wanted[:2] {
		if !w {
			continue
		}
		grads[i] = Side(out, i+1)
		if grad == nil {
			continue
		}
		var err error
		if grads[i], err = ScaleBy(grads[i], grad); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

// Cost is that of the gradient by hidden; dweight adds 2·T·V·D.
func (s linearCrossEntropy) Cost(in []Ty) Cost {
	return cost(s, in, 4*in[0].Shape[0]*in[1].Shape.TotalSize())
}
