package op

import (
	"fmt"
	"math"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// Attention is causal attention within segments: q (T,H,Dh), k and v (T,KV,Dh), segments (T) int32 -> (T,H,Dh). window
// 0 = all of the segment, softCap 0 = none. Side output 1 is lse. See kernels.Attention.
func Attention(q, k, v, segments *G.Node, scale float64, window int, softCap float64) (*G.Node, error) {
	return Apply(attention{kernels.Attention{Scale: scale, Window: window, SoftCap: softCap}}, q, k, v, segments)
}

type attention struct{ k kernels.Attention }

func (s attention) Kernel() kernels.Kernel { return s.k }

func (s attention) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "q", "k", "v", "segments"); err != nil {
		return nil, err
	}
	if err := first(checkHeads(in[0], in[1], in[2], s.k.Window, s.k.SoftCap), integers("segments", in[3], in[0].Shape[0])); err != nil {
		return nil, err
	}
	q := in[0]
	return []Ty{q.shaped(q.Shape...), q.stat(q.Shape[0], q.Shape[1])}, nil
}

// checkHeads checks q (T,H,Dh) against k and v (T,KV,Dh), and the attributes of every attention.
func checkHeads(q, k, v Ty, window int, softCap float64) error {
	if err := first(float("q", q, 3), float("k", k, 3), shape("v", v, k.Shape...)); err != nil {
		return err
	}
	switch {
	case q.Shape[0] != k.Shape[0]:
		return fmt.Errorf("q has %d tokens, k has %d", q.Shape[0], k.Shape[0])
	case q.Shape[2] != k.Shape[2]:
		return fmt.Errorf("q has head_dim %d, k has %d", q.Shape[2], k.Shape[2])
	case q.Shape[1]%k.Shape[1] != 0:
		return fmt.Errorf("num_heads (%d) must be divisible by num_kv_heads (%d)", q.Shape[1], k.Shape[1])
	case window < 0:
		return fmt.Errorf("window is %d, wants 0 (none) or more", window)
	case softCap < 0:
		return fmt.Errorf("soft cap is %g, wants 0 (none) or more", softCap)
	}
	return nil
}

func (attention) DiffWRT() []bool { return []bool{true, true, true, false} }

func (s attention) Grad(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	dq, err := Apply(attentionBwd{k: kernels.AttentionBwd(s.k)}, in[0], in[1], in[2], in[3], out, Side(out, 1), grad)
	if err != nil {
		return nil, err
	}
	return G.Nodes{dq, Side(dq, 1), Side(dq, 2), nil}, nil
}

// Cost is that of one segment as long as the row; shorter segments cost less.
func (s attention) Cost(in []Ty, _ []bool) Cost {
	return cost(s, in, 4*scores(in[0], s.k.Window)*in[0].Shape[2])
}

// scores is how many products q·k a row of one segment takes.
func scores(q Ty, window int) int {
	t, w := q.Shape[0], q.Shape[0]
	if window > 0 {
		w = min(w, window)
	}
	return q.Shape[1] * (w*(w+1)/2 + (t-w)*w)
}

// attentionBwd: q, k, v, segments, o, lse, do -> dq, dk, dv.
type attentionBwd struct {
	gradless
	k kernels.AttentionBwd
}

func (s attentionBwd) Kernel() kernels.Kernel { return s.k }

func (s attentionBwd) Infer(in []Ty) ([]Ty, error) {
	if err := arity(in, "q", "k", "v", "segments", "o", "lse", "do"); err != nil {
		return nil, err
	}
	q, k, v := in[0], in[1], in[2]
	if err := checkHeads(q, k, v, s.k.Window, s.k.SoftCap); err != nil {
		return nil, err
	}
	err := first(integers("segments", in[3], q.Shape[0]), shape("o", in[4], q.Shape...),
		shape("lse", in[5], q.Shape[0], q.Shape[1]), shape("do", in[6], q.Shape...))
	if err != nil {
		return nil, err
	}
	return []Ty{q.shaped(q.Shape...), k.shaped(k.Shape...), v.shaped(v.Shape...)}, nil
}

func (s attentionBwd) Cost(in []Ty, _ []bool) Cost {
	return cost(s, in, 10*scores(in[0], s.k.Window)*in[0].Shape[2])
}

func attentionExamples() Examples {
	s := attention{kernels.Attention{Scale: 0.5}}
	e := Examples{Refused: []Refusal{
		{s, []Operand{floats(2, 32, 4), floats(2, 5, 4), floats(2, 5, 4), ints(0, 0)}, "num_heads (32) must be divisible by num_kv_heads (5)"},
		{s, []Operand{floats(2, 2, 4), floats(2, 1, 6), floats(2, 1, 6), ints(0, 0)}, "q has head_dim 4, k has 6"},
		{s, []Operand{floats(2, 2, 4), floats(3, 1, 4), floats(3, 1, 4), ints(0, 0)}, "q has 2 tokens, k has 3"},
		{s, []Operand{floats(2, 2, 4), floats(2, 1, 4), floats(2, 2, 4), ints(0, 0)}, "v has shape (2, 2, 4), wants (2, 1, 4)"},
		{s, []Operand{floats(2, 2, 4), floats(2, 1, 4), floats(2, 1, 4), ints(0)}, "segments has 1 elements, wants one for each of the 2 tokens"},
		{attention{kernels.Attention{Window: -1}}, []Operand{floats(2, 2, 4), floats(2, 1, 4), floats(2, 1, 4), ints(0, 0)}, "window is -1"},
	}}
	add := func(name string, heads, kv, dh int, k kernels.Attention, segments Operand) {
		t := len(segments.Ints)
		e.Cases = append(e.Cases, Case{name, attention{k}, []Operand{
			floats(t, heads, dh).pad(segments), floats(t, kv, dh).pad(segments), floats(t, kv, dh).pad(segments), segments,
		}})
	}
	for _, n := range oddSizes() {
		add(fmt.Sprint(n), 2, 2, n%31+1, kernels.Attention{Scale: 0.8}, runs(n))
	}
	add("grouped", 6, 2, 16, kernels.Attention{Scale: 0.25}, runs(19))
	add("one key head", 5, 1, 7, kernels.Attention{Scale: 0.4}, runs(19))
	add("segments", 2, 1, 8, kernels.Attention{Scale: 0.4}, runs(1, 7, 2, 30, 1))
	add("padding behind", 2, 1, 8, kernels.Attention{Scale: 0.4}, runs(7, 20, -6))
	add("padding between", 2, 1, 8, kernels.Attention{Scale: 0.4}, runs(-2, 7, -3, 20, -1))
	add("padding only", 2, 1, 8, kernels.Attention{Scale: 0.4}, runs(-5))
	add("window", 2, 1, 8, kernels.Attention{Scale: 0.4, Window: 5}, runs(3, 40, -2))
	add("window of one", 2, 2, 8, kernels.Attention{Scale: 0.4, Window: 1}, runs(9))
	add("soft cap", 2, 1, 8, kernels.Attention{Scale: 3, SoftCap: 2}, runs(9, 20))
	add("everything", 4, 2, 24, kernels.Attention{Scale: 2, SoftCap: 5, Window: 11}, runs(13, 50, -5, 2))
	add("large scores", 2, 1, 64, kernels.Attention{Scale: 2}, runs(40))
	add("long", 2, 1, 64, kernels.Attention{Scale: 0.125}, runs(100, 161, -2))
	// The head sizes of models, which backends have tiles of their own for: two tiles of queries, the last not full.
	for _, dh := range []int{80, 96, 128, 256} {
		k := kernels.Attention{Scale: 1 / math.Sqrt(float64(dh))}
		add(fmt.Sprintf("head size %d", dh), 2, 1, dh, k, runs(-3, 37, 146, -14))
	}
	add("head size 128, everything", 2, 1, 128, kernels.Attention{Scale: 0.3, SoftCap: 4, Window: 70}, runs(-1, 133, -7, 20))
	return e
}
