package op

import (
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
func (s attentionCached) Cost(in []Ty) Cost {
	return cost(s, in, 4*in[0].Shape.TotalSize()*in[3].Shape[0])
}
