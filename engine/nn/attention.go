package nn

import (
	"fmt"

	"attune/engine/op"

	G "gorgonia.org/gorgonia"
)

// RoPE is a rotary position embedding: the angular frequency of each pair of a head's features and the factor of
// cosine and sine (1 for all types but YaRN).
type RoPE struct {
	InvFreq []float64 // Dh/2 values
	Scale   float64
}

// AttentionConfig is what attention needs beside its operands.
type AttentionConfig struct {
	Scale   float64 // of q·k; 1/sqrt(Dh) unless a model says otherwise
	Window  int     // > 0: a query sees the last Window keys, itself included
	SoftCap float64 // > 0: SoftCap·tanh(score/SoftCap)
}

// Rotate applies the rotary embedding at each token's position (Su et al. 2021, arXiv:2104.09864; half-split as
// transformers has it): (T, H, Dh) -> (T, H, Dh).
func (b *Builder) Rotate(path string, x *G.Node, r RoPE) *G.Node {
	pos := b.Input(Positions)
	if b.err != nil {
		return nil
	}
	if dh := last(x); len(r.InvFreq)*2 != dh {
		b.Fail(path, fmt.Errorf("%d rotary frequencies for heads of size %d; %d are needed", len(r.InvFreq), dh, dh/2))
		return nil
	}
	n, err := op.RoPE(x, pos, r.InvFreq, r.Scale)
	return b.done(path, n, err)
}

// Attention is causal attention within each segment, or over the key/value cache where the graph is built for
// generation: q (T, H, Dh), k and v (T, KV, Dh) -> (T, H, Dh). H must be a multiple of KV.
func (b *Builder) Attention(path string, q, k, v *G.Node, c AttentionConfig) *G.Node {
	if b.err != nil {
		return nil
	}
	if len(q.Shape()) != 3 || len(k.Shape()) != 3 {
		b.Fail(path, fmt.Errorf("attention over shapes %v and %v; (T, heads, head_dim) is needed", q.Shape(), k.Shape()))
		return nil
	}
	if h, kv := q.Shape()[1], k.Shape()[1]; kv == 0 || h%kv != 0 {
		b.Fail(path, fmt.Errorf("num_attention_heads (%d) must be a multiple of num_key_value_heads (%d)", h, kv))
		return nil
	}
	if b.o.CacheLen == 0 {
		seg := b.Input(Segments)
		if b.err != nil {
			return nil
		}
		n, err := op.Attention(q, k, v, seg, c.Scale, c.Window, c.SoftCap)
		return b.done(path, n, err)
	}
	shape := []int{b.o.CacheLen, k.Shape()[1], k.Shape()[2]}
	kc := b.input(Input{Name: "cache." + path + ".k", Shape: shape, Cache: true})
	vc := b.input(Input{Name: "cache." + path + ".v", Shape: shape, Cache: true})
	pos := b.Input(Positions)
	if b.err != nil {
		return nil
	}
	n, err := op.AttentionCached(q, k, v, kc, vc, pos, c.Scale, c.Window, c.SoftCap)
	return b.done(path, n, err)
}
