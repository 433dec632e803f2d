package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// AttentionCached is attention over a key/value cache, for generation: q (T,H,Dh), k and v (T,KV,Dh), kcache and vcache
// (S,KV,Dh), which are written, positions (T) int32 -> (T,H,Dh). It has no gradient. See kernels.AttentionCached.
func AttentionCached(q, k, v, kcache, vcache, positions *G.Node, scale float64, window int, softCap float64) (*G.Node, error) {
	s := attentionCached{k: kernels.AttentionCached{Scale: scale, Window: window, SoftCap: softCap}}
	return Apply(s, q, k, v, kcache, vcache, positions)
}

type attentionCached struct {
	gradless
	k kernels.AttentionCached
}

func (s attentionCached) Kernel() kernels.Kernel { return s.k }

func (s attentionCached) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "q", "k", "v", "kcache", "vcache", "positions"); err != nil {
		return nil, err
	}
	q, k := in[0], in[1]
	if err := first(checkHeads(q, k, in[2], s.k.Window, s.k.SoftCap), float("kcache", in[3], 3)); err != nil {
		return nil, err
	}
	rows := in[3].Shape[0]
	err := first(shape("kcache", in[3], rows, k.Shape[1], k.Shape[2]), shape("vcache", in[4], rows, k.Shape[1], k.Shape[2]),
		integers("positions", in[5], q.Shape[0]))
	if err != nil {
		return nil, err
	}
	return []Ty{q.shaped(q.Shape...)}, nil
}

// Cost is that of a full cache.
func (s attentionCached) Cost(in []Ty, _ []bool) Cost {
	return cost(s, in, 4*in[0].Shape.TotalSize()*in[3].Shape[0])
}

func attentionCachedExamples() Examples {
	e := Examples{Refused: []Refusal{
		{attentionCached{}, []Operand{floats(1, 4, 2), floats(1, 2, 2), floats(1, 2, 2), floats(9, 1, 2), floats(9, 2, 2), ints(0)},
			"kcache has shape (9, 1, 2), wants (9, 2, 2)"},
		{attentionCached{}, []Operand{floats(1, 4, 2), floats(1, 3, 2), floats(1, 3, 2), floats(9, 3, 2), floats(9, 3, 2), ints(0)},
			"num_heads (4) must be divisible by num_kv_heads (3)"},
	}}
	add := func(name string, rows, heads, kv, dh int, k kernels.AttentionCached, positions Operand) {
		t := len(positions.Ints)
		e.Cases = append(e.Cases, Case{name, attentionCached{k: k}, []Operand{
			floats(t, heads, dh).pad(positions), floats(t, kv, dh).pad(positions), floats(t, kv, dh).pad(positions),
			floats(rows, kv, dh), floats(rows, kv, dh), positions,
		}})
	}
	for _, n := range oddSizes() {
		add(fmt.Sprintf("first %d", n), n+3, 2, 1, n%31+1, kernels.AttentionCached{Scale: 0.5}, upTo(0, n))
	}
	add("one more", 70, 4, 2, 16, kernels.AttentionCached{Scale: 0.25}, ints(64))
	add("a few more", 70, 4, 4, 16, kernels.AttentionCached{Scale: 0.25}, upTo(31, 36))
	add("padding", 20, 4, 2, 16, kernels.AttentionCached{Scale: 0.25}, ints(5, 6, 7, -1, -1))
	add("window", 80, 4, 2, 16, kernels.AttentionCached{Scale: 0.25, Window: 9}, upTo(0, 70))
	add("one more of many", 600, 6, 2, 64, kernels.AttentionCached{Scale: 0.2}, ints(555))
	add("a few more of many", 600, 2, 1, 128, kernels.AttentionCached{Scale: 0.1, Window: 300}, ints(-1, 511, 512, 513))
	add("many after some", 300, 2, 1, 128, kernels.AttentionCached{Scale: 0.1}, upTo(100, 240))
	add("soft cap", 40, 4, 2, 16, kernels.AttentionCached{Scale: 2, SoftCap: 3}, upTo(5, 30))
	return e
}

// upTo are the positions from lo to hi-1.
func upTo(lo, hi int) Operand {
	var v []int32
	for p := lo; p < hi; p++ {
		v = append(v, int32(p))
	}
	return ints(v...)
}
