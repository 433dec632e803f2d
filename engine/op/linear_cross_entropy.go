package op

import (
	"fmt"
	"math"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// LinearCrossEntropy is the output head and the loss in one, without logits in memory: hidden (T,D), weight (V,D),
// targets (T) int32, weights (T) -> the loss, a scalar. Its gradients are made in the same pass as side outputs 1
// (dhidden) and 2 (dweight); side output 3 is nll (T). See kernels.LinearCrossEntropy.
func LinearCrossEntropy(k kernels.LinearCrossEntropy, hidden, weight, targets, weights *G.Node) (*G.Node, error) {
	return Apply(linearCrossEntropy{k}, hidden, weight, targets, weights)
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
	case s.k.Most < 0 || s.k.Most > tokens:
		return nil, fmt.Errorf("at most %d tokens are learnt, wants 0 (all) to %d", s.k.Most, tokens)
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

// Cost is that of a row of which as many tokens are learnt as may be.
func (s linearCrossEntropy) Cost(in []Ty, wanted []bool) Cost {
	learnt := in[0].Shape[0]
	if s.k.Most > 0 {
		learnt = s.k.Most
	}
	product := 2 * learnt * in[1].Shape.TotalSize()
	flop := product
	for _, w := range wanted[1:3] { // dhidden, dweight
		if w {
			flop += product
		}
	}
	return cost(s, in, flop)
}

func linearCrossEntropyExamples() Examples {
	s := linearCrossEntropy{}
	e := Examples{Refused: []Refusal{
		{s, []Operand{floats(2, 3), floats(5, 4), ints(0, 0), stats(2)}, "hidden has 3 values a token, the weight has 4 inputs"},
		{s, []Operand{floats(2, 3), floats(5, 3), ints(0), stats(2)}, "targets has 1 elements, wants one for each of the 2 tokens"},
		{s, []Operand{floats(2, 3), floats(5, 3), ints(0, 0), stats(3)}, "weights has shape (3), wants (2)"},
		{linearCrossEntropy{kernels.LinearCrossEntropy{SoftCap: -2}}, []Operand{floats(2, 3), floats(5, 3), ints(0, 0), stats(2)}, "soft cap is -2"},
		{linearCrossEntropy{kernels.LinearCrossEntropy{Most: 3}}, []Operand{floats(2, 3), floats(5, 3), ints(0, 0), stats(2)}, "at most 3 tokens are learnt, wants 0 (all) to 2"},
	}}
	// add makes a case in which every third token has weight 0; its hidden state is padding and its target absurd.
	add := func(name string, tokens, d, vocab int, k kernels.LinearCrossEntropy) {
		targets := cycle(tokens, vocab)
		marker := ints(make([]int32, tokens)...)
		weights := stats(tokens)
		for t := range tokens {
			weights.Values = append(weights.Values, (0.5+float64(t%5))/float64(tokens))
			if t%3 == 2 {
				targets.Ints[t], marker.Ints[t], weights.Values[t] = -1, -1, 0
			}
		}
		e.Cases = append(e.Cases, Case{name, linearCrossEntropy{k}, []Operand{
			floats(tokens, d).pad(marker), params(vocab, d), targets, weights,
		}})
	}
	for _, n := range oddSizes() {
		add(fmt.Sprint(n), n, n+1, n+3, kernels.LinearCrossEntropy{})
	}
	add("soft cap", 17, 9, 31, kernels.LinearCrossEntropy{SoftCap: 1.5})
	add("large logits", 9, 20, 31, kernels.LinearCrossEntropy{})
	last := &e.Cases[len(e.Cases)-1]
	last.In[0] = last.In[0].fill(func(u float64) float64 { return 60 * u })
	// In eighths, so that rounding weights to bfloat16 at use does not move such logits by tenths.
	last.In[1] = last.In[1].fill(func(u float64) float64 { return math.Round(8*u) / 8 })
	add("frozen head", 9, 20, 31, kernels.LinearCrossEntropy{})
	last = &e.Cases[len(e.Cases)-1]
	last.In[1] = last.In[1].frozen()
	add("negative weight", 9, 20, 31, kernels.LinearCrossEntropy{})
	e.Cases[len(e.Cases)-1].In[3].Values[1] = -0.5
	add("one word", 5, 3, 1, kernels.LinearCrossEntropy{})
	add("wide", 65, 40, 1031, kernels.LinearCrossEntropy{})
	add("two thirds at most", 33, 20, 40, kernels.LinearCrossEntropy{Most: 22})
	add("one at most", 2, 4, 5, kernels.LinearCrossEntropy{Most: 1})
	e.Cases[len(e.Cases)-1].In[3].Values[0] = 0
	return e
}
