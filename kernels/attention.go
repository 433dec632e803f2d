package kernels

import "math"

// Attention is causal softmax attention within the segments of a packed row, with grouped heads (Ainslie et al. 2023,
// arXiv:2305.13245): query head h reads key/value head h / (H/KV).
//
//	s[i,j] = Scale · q[i]·k[j], and SoftCap·tanh(s/SoftCap) of it where SoftCap > 0 (Gemma 2, arXiv:2408.00118)
//	lse[i] = ln Σ_j exp(s[i,j])
//	o[i]   = Σ_j exp(s[i,j] - lse[i]) · v[j]
//
// j runs over the keys of i's segment with j <= i, and j > i-Window where Window > 0. A segment is a run of equal values;
// -1 is padding: o = 0, lse = 0.
//
//	in:  q (T,H,Dh), k (T,KV,Dh), v (T,KV,Dh), segments (T) int32
//	out: o (T,H,Dh), lse (T,H) f32
type Attention struct {
	Scale   float64
	Window  int
	SoftCap float64
}

// Name implements Kernel.
func (Attention) Name() string { return "attention" }

// Tol implements Kernel: float32 sums and exponentials; in bfloat16 the probabilities are rounded at use and o once.
func (Attention) Tol() Tol { return Tol{Float32: 1e-5, BFloat16: 1.2e-2} }

// Float32 implements Kernel.
func (k Attention) Float32(in, out []*Tensor[float32]) { attention(k, in, out) }

// Float64 implements Kernel.
func (k Attention) Float64(in, out []*Tensor[float64]) { attention(k, in, out) }

// firstKeys gives for each token the first key it sees, and -1 for padding.
func firstKeys(segments []int32, window int) []int {
	first := make([]int, len(segments))
	start := 0
	for t, s := range segments {
		if t > 0 && s != segments[t-1] {
			start = t
		}
		first[t] = start
		if window > 0 {
			first[t] = max(start, t-window+1)
		}
		if s < 0 {
			first[t] = -1
		}
	}
	return first
}

// score is the capped score of q·k, and its derivative by the product.
func score(product, scale, softCap float64) (s, ds float64) {
	if softCap <= 0 {
		return product * scale, scale
	}
	th := math.Tanh(product * scale / softCap)
	return softCap * th, scale * (1 - th*th)
}

func attention[T Float](k Attention, in, out []*Tensor[T]) {
	q, key, v := in[0].F, in[1].F, in[2].F
	tokens, heads, dh, kv := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], in[1].Shape[1]
	o, lse := wanted(out, 0), wanted(out, 1)
	first := firstKeys(in[3].I, k.Window)
	scores, acc := make([]float64, tokens), make([]float64, dh)
	for h := range heads {
		g := h / (heads / kv)
		for i := range tokens {
			clear(acc)
			var l float64
			if first[i] >= 0 {
				s := scores[:i-first[i]+1]
				qi := q[(i*heads+h)*dh:][:dh]
				for n := range s {
					j := first[i] + n
					s[n], _ = score(dot(qi, key[(j*kv+g)*dh:][:dh]), k.Scale, k.SoftCap)
				}
				l = logSumExp(s)
				for n := range s {
					j := first[i] + n
					axpy(math.Exp(s[n]-l), v[(j*kv+g)*dh:][:dh], acc)
				}
			}
			if lse != nil {
				lse[i*heads+h] = T(l)
			}
			if o != nil {
				round(o[(i*heads+h)*dh:][:dh], acc)
			}
		}
	}
}

// logSumExp is ln Σ exp(s), without overflow.
func logSumExp(s []float64) float64 {
	top := math.Inf(-1)
	for _, v := range s {
		top = max(top, v)
	}
	var sum float64
	for _, v := range s {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

// AttentionBwd is the gradient of Attention (the form of FlashAttention, Dao 2023, arXiv:2307.08691, without the scores
// kept). With p[i,j] = exp(s[i,j] - lse[i]) and c[i] = do[i]·o[i]:
//
//	dv[j] = Σ_i p[i,j] do[i]
//	ds    = p[i,j] · (do[i]·v[j] - c[i]) · Scale · (1 - (s/SoftCap)²), the last factor where SoftCap > 0
//	dq[i] = Σ_j ds k[j],  dk[j] = Σ_i ds q[i]
//
// dk and dv add over the query heads of their group. Padding has no gradient: 0.
//
//	in:  q (T,H,Dh), k (T,KV,Dh), v (T,KV,Dh), segments (T) int32, o (T,H,Dh), lse (T,H), do (T,H,Dh)
//	out: dq (T,H,Dh), dk (T,KV,Dh), dv (T,KV,Dh)
type AttentionBwd struct {
	Scale   float64
	Window  int
	SoftCap float64
}

// Name implements Kernel.
func (AttentionBwd) Name() string { return "attention_bwd" }

// Tol implements Kernel: float32 sums and exponentials; in bfloat16 p and ds are rounded at use and the results once.
func (AttentionBwd) Tol() Tol { return Tol{Float32: 2e-5, BFloat16: 2e-2} }

// Float32 implements Kernel.
func (k AttentionBwd) Float32(in, out []*Tensor[float32]) { attentionBwd(k, in, out) }

// Float64 implements Kernel.
func (k AttentionBwd) Float64(in, out []*Tensor[float64]) { attentionBwd(k, in, out) }

func attentionBwd[T Float](k AttentionBwd, in, out []*Tensor[T]) {
	q, key, v, o, lse, do := in[0].F, in[1].F, in[2].F, in[4].F, in[5].F, in[6].F
	tokens, heads, dh, kv := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], in[1].Shape[1]
	first := firstKeys(in[3].I, k.Window)
	dq, dk, dv := make([]float64, len(q)), make([]float64, len(key)), make([]float64, len(v))
	for h := range heads {
		g := h / (heads / kv)
		for i := range tokens {
			if first[i] < 0 {
				continue
			}
			at := (i*heads + h) * dh
			qi, oi, doi, dqi := q[at:][:dh], o[at:][:dh], do[at:][:dh], dq[at:][:dh]
			c, l := dot(doi, oi), float64(lse[i*heads+h])
			for j := first[i]; j <= i; j++ {
				kj := (j*kv + g) * dh
				s, slope := score(dot(qi, key[kj:][:dh]), k.Scale, k.SoftCap)
				p := math.Exp(s - l)
				ds := p * (dot(doi, v[kj:][:dh]) - c) * slope
				axpy(p, doi, dv[kj:][:dh])
				axpy(ds, key[kj:][:dh], dqi)
				axpy(ds, qi, dk[kj:][:dh])
			}
		}
	}
	for n, sum := range [][]float64{dq, dk, dv} {
		if d := wanted(out, n); d != nil {
			round(d, sum)
		}
	}
}
