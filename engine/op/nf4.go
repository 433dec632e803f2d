package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// NF4 gives back weights that were stored in four bits each: codes (N/8) int32, absmax (N/block, rounded up) -> (N). They
// are not trained. See kernels.NF4.
func NF4(codes, absmax *G.Node, block int) (*G.Node, error) {
	return Apply(nf4{k: kernels.NF4{Block: block}}, codes, absmax)
}

type nf4 struct {
	gradless
	k kernels.NF4
}

func (s nf4) Kernel() kernels.Kernel { return s.k }

func (s nf4) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "codes", "absmax"); err != nil {
		return nil, err
	}
	if s.k.Block <= 0 {
		return nil, fmt.Errorf("blocks are of %d numbers, wants 1 or more", s.k.Block)
	}
	if err := integers("codes", in[0], -1); err != nil {
		return nil, err
	}
	n := 8 * in[0].Shape[0]
	if err := shape("absmax", in[1], (n+s.k.Block-1)/s.k.Block); err != nil {
		return nil, err
	}
	return []Ty{in[1].shaped(n)}, nil
}

func (s nf4) Cost(in []Ty, _ []bool) Cost { return cost(s, in, 8*in[0].Shape[0]) }

func nf4Examples() Examples {
	e := Examples{Refused: []Refusal{
		{nf4{k: kernels.NF4{}}, []Operand{ints(1), stats(1)}, "blocks are of 0 numbers"},
		{nf4{k: kernels.NF4{Block: 4}}, []Operand{ints(1), stats(1)}, "absmax has shape (1), wants (2)"},
	}}
	for _, n := range oddSizes() {
		codes := cycle(n, 1<<16)
		for i := range codes.Ints {
			codes.Ints[i] *= 40503 // all eight codes of a word, the sign bit too
		}
		for _, block := range []int{8, 13, 64} {
			e.Cases = append(e.Cases, Case{fmt.Sprint(n, " in ", block), nf4{k: kernels.NF4{Block: block}}, []Operand{codes, stats((8*n + block - 1) / block)}})
		}
	}
	return e
}
