package cpu

import (
	"fmt"

	"attune/kernels"
)

// attentionShape is what the attention kernels have in common.
type attentionShape struct {
	tokens, heads, kv, dh int
}

func newAttentionShape(q, k View) (attentionShape, error) {
	if len(q.Shape) != 3 || len(k.Shape) != 3 {
		return attentionShape{}, fmt.Errorf("q %v and k %v, must be (T,H,Dh) and (T,KV,Dh)", q.Shape, k.Shape)
	}
	s := attentionShape{tokens: q.Shape[0], heads: q.Shape[1], kv: k.Shape[1], dh: q.Shape[2]}
	if s.dh == 0 || s.kv == 0 || s.heads == 0 || s.heads%s.kv != 0 {
		return s, fmt.Errorf("%d query heads over %d key/value heads of size %d, must be a whole number each", s.heads, s.kv, s.dh)
	}
	return s, nil
}

// checkAttention checks the operands of kernels.Attention against each other, and with bwd those of its gradient.
func checkAttention(in, out []View, bwd bool) (attentionShape, error) {
	inputs, outputs := 4, 2
	if bwd {
		inputs, outputs = 7, 3
	}
	if err := operands(in, inputs, out, outputs); err != nil {
		return attentionShape{}, err
	}
	s, err := newAttentionShape(in[0], in[1])
	if err != nil {
		return s, err
	}
	err = firstError(
		floating("q", in[0], s.tokens, s.heads, s.dh),
		floating("k", in[1], s.tokens, s.kv, s.dh),
		floating("v", in[2], s.tokens, s.kv, s.dh),
		stored("segments", in[3], kernels.Int32, s.tokens),
	)
	if err != nil {
		return s, err
	}
	if !bwd {
		return s, firstError(
			floating("o", out[0], s.tokens, s.heads, s.dh),
			stored("lse", out[1], kernels.Float32, s.tokens, s.heads),
		)
	}
	return s, firstError(
		floating("o", in[4], s.tokens, s.heads, s.dh),
		stored("lse", in[5], kernels.Float32, s.tokens, s.heads),
		floating("do", in[6], s.tokens, s.heads, s.dh),
		floating("dq", out[0], s.tokens, s.heads, s.dh),
		floating("dk", out[1], s.tokens, s.kv, s.dh),
		floating("dv", out[2], s.tokens, s.kv, s.dh),
	)
}

// run is a run of equal segment numbers: tokens [lo, hi), padding if the number is -1.
type run struct {
	lo, hi  int
	padding bool
}

func runsOf(segments []int32) []run {
	var runs []run
	for t, s := range segments {
		if t == 0 || s != segments[t-1] {
			runs = append(runs, run{lo: t, padding: s < 0})
		}
		runs[len(runs)-1].hi = t + 1
	}
	return runs
}
