package kernels

import "math"

// AttentionCached is Attention for generation, of one sequence: it first writes k and v of token t to row positions[t]
// of the caches (position -1 is padding, skipped), for all t, then lets token t attend to the cache rows
// j <= positions[t], and j > positions[t]-Window where Window > 0. Scores, heads and SoftCap are Attention's. Padding
// gives o = 0. It has no gradient.
//
//	in:  q (T,H,Dh), k (T,KV,Dh), v (T,KV,Dh), kcache (S,KV,Dh), vcache (S,KV,Dh) (both written), positions (T) int32
//	out: o (T,H,Dh)
type AttentionCached struct {
	Scale   float64
	Window  int
	SoftCap float64
}

// Name implements Kernel.
func (AttentionCached) Name() string { return "attention_cached" }

// Tol implements Kernel: as Attention.
func (AttentionCached) Tol() Tol { return Tol{Float32: 1e-5, BFloat16: 1.2e-2} }

// Float32 implements Kernel.
func (k AttentionCached) Float32(in, out []*Tensor[float32]) { attentionCached(k, in, out) }

// Float64 implements Kernel.
func (k AttentionCached) Float64(in, out []*Tensor[float64]) { attentionCached(k, in, out) }

func attentionCached[T Float](k AttentionCached, in, out []*Tensor[T]) {
	q, kcache, vcache, positions := in[0].F, in[3].F, in[4].F, in[5].I
	heads, dh, kv := in[0].Shape[1], in[0].Shape[2], in[1].Shape[1]
	row := kv * dh
	for t, p := range positions {
		if p >= 0 {
			copy(kcache[int(p)*row:][:row], in[1].F[t*row:])
			copy(vcache[int(p)*row:][:row], in[2].F[t*row:])
		}
	}
	o := wanted(out, 0)
	if o == nil {
		return
	}
	scores, acc := make([]float64, in[3].Shape[0]), make([]float64, dh)
	for h := range heads {
		g := h / (heads / kv)
		for t, p := range positions {
			clear(acc)
			if p >= 0 {
				first := 0
				if k.Window > 0 {
					first = max(0, int(p)-k.Window+1)
				}
				s := scores[:int(p)-first+1]
				qt := q[(t*heads+h)*dh:][:dh]
				for n := range s {
					s[n], _ = score(dot(qt, kcache[(first+n)*row+g*dh:][:dh]), k.Scale, k.SoftCap)
				}
				l := logSumExp(s)
				for n := range s {
					axpy(math.Exp(s[n]-l), vcache[(first+n)*row+g*dh:][:dh], acc)
				}
			}
			round(o[(t*heads+h)*dh:][:dh], acc)
		}
	}
}
