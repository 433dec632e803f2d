package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// Embed looks token ids up in an embedding table: weight (V,D), ids (T) int32 -> (T,D). See kernels.Embed.
func Embed(weight, ids *G.Node) (*G.Node, error) { return Apply(embed{}, weight, ids) }

type embed struct{}

func (embed) Kernel() kernels.Kernel { return kernels.Embed{} }

func (embed) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "weight", "ids"); err != nil {
		return nil, err
	}
	if err := first(float("weight", in[0], 2), integers("ids", in[1], -1)); err != nil {
		return nil, err
	}
	return []Ty{in[0].shaped(in[1].Shape[0], in[0].Shape[1])}, nil
}

func (embed) DiffWRT() []bool { return []bool{true, false} }

func (embed) Grad(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	dw, err := Apply(embedBwd{vocab: in[0].Shape()[0]}, in[1], grad)
	return G.Nodes{dw, nil}, err
}

func (e embed) Cost(in []Ty, _ []bool) Cost {
	t, d := in[1].Shape[0], in[0].Shape[1] // the table's other rows are not touched
	return Cost{Bytes: int64(2*t*d*int(in[0].Dtype.Size()) + 4*t)}
}

// embedBwd: ids (T), dy (T,D) -> dweight (V,D).
type embedBwd struct {
	gradless
	vocab int
}

func (embedBwd) Kernel() kernels.Kernel { return kernels.EmbedBwd{} }

func (e embedBwd) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "ids", "dy"); err != nil {
		return nil, err
	}
	if err := first(float("dy", in[1], 2), integers("ids", in[0], in[1].Shape[0])); err != nil {
		return nil, err
	}
	return []Ty{in[1].stat(e.vocab, in[1].Shape[1])}, nil
}

func (e embedBwd) Cost(in []Ty, _ []bool) Cost { return cost(e, in, in[1].Shape.TotalSize()) }

func embedExamples() Examples {
	e := Examples{Refused: []Refusal{
		{embed{}, []Operand{floats(5, 3), floats(4)}, "ids is float64, wants int32"},
		{embed{}, []Operand{floats(5), ints(1)}, "weight has shape (5), wants 2 dimensions"},
		{embed{}, []Operand{floats(5, 3)}, "1 inputs, wants 2"},
	}}
	for _, n := range oddSizes() {
		e.Cases = append(e.Cases, Case{fmt.Sprint(n), embed{}, []Operand{params(n+2, n), cycle(n, n+2)}})
	}
	e.Cases = append(e.Cases, Case{"one row for all", embed{}, []Operand{params(3, 40), ints(make([]int32, 300)...)}})
	return e
}
