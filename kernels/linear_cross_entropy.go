package kernels

import "math"

// LinearCrossEntropy is the head and the loss in one: the logits of one token at a time, never (T,V) of them (the idea of
// Wijmans et al. 2024, arXiv:2411.09009, and of Liger's fused linear cross entropy). Gradients are those of loss and are
// made in the same pass; engine/op multiplies them by the loss's own gradient.
//
//	z       = hidden Wᵀ, and SoftCap·tanh(z/SoftCap) of it where SoftCap > 0
//	nll[t]  = ln Σ_v exp(z[t,v]) - z[t,targets[t]]
//	loss    = Σ_t weights[t] · nll[t]
//	dz      = weights[t] · (softmax(z) - onehot(target)) · (1 - (z/SoftCap)²), the last factor where SoftCap > 0
//	dhidden = dz W,  dweight = dzᵀ hidden
//
// A token of weight 0 is not computed, whatever its hidden state and target: nll 0, dhidden 0. Most, if not 0, is the
// caller's word that at most so many weights are not 0: a backend that cannot look at them before it says what is to run
// saves the rest. More of them than that is the caller's error; such a backend makes the loss NaN.
//
//	in:  hidden (T,D), weight (V,D), targets (T) int32, weights (T) f32
//	out: loss () f32, dhidden (T,D), dweight (V,D) f32, nll (T) f32
type LinearCrossEntropy struct {
	SoftCap float64
	Most    int
}

// Name implements Kernel.
func (LinearCrossEntropy) Name() string { return "linear_cross_entropy" }

// Tol implements Kernel: float32 sums over D and V; in bfloat16 dz is rounded at use (a row of dweight may be one such
// product, so 2^-9 of the largest hidden) and dhidden once.
func (LinearCrossEntropy) Tol() Tol { return Tol{Float32: 2e-5, BFloat16: 2e-2} }

// Float32 implements Kernel.
func (k LinearCrossEntropy) Float32(in, out []*Tensor[float32]) { linearCrossEntropy(k, in, out) }

// Float64 implements Kernel.
func (k LinearCrossEntropy) Float64(in, out []*Tensor[float64]) { linearCrossEntropy(k, in, out) }

func linearCrossEntropy[T Float](k LinearCrossEntropy, in, out []*Tensor[T]) {
	hidden, w, targets, weights := in[0].F, in[1].F, in[2].I, in[3].F
	vocab, d := in[1].Shape[0], in[1].Shape[1]
	loss, dhidden, dweight, nll := wanted(out, 0), wanted(out, 1), wanted(out, 2), wanted(out, 3)
	clear(nll)
	clear(dhidden)
	var total float64
	z, slope := make([]float64, vocab), make([]float64, vocab)
	var dh, dw []float64
	if dhidden != nil {
		dh = make([]float64, d)
	}
	if dweight != nil {
		dw = make([]float64, len(dweight))
	}
	for t, weight := range weights {
		if weight == 0 {
			continue
		}
		row := hidden[t*d : (t+1)*d]
		for v := range vocab {
			z[v], slope[v] = score(dot(row, w[v*d:(v+1)*d]), 1, k.SoftCap)
		}
		lse := logSumExp(z)
		n := lse - z[targets[t]]
		total += float64(weight) * n
		if nll != nil {
			nll[t] = T(n)
		}
		if dh == nil && dw == nil {
			continue
		}
		clear(dh)
		for v := range vocab {
			p := math.Exp(z[v] - lse)
			if v == int(targets[t]) {
				p--
			}
			dz := float64(weight) * p * slope[v]
			if dh != nil {
				axpy(dz, w[v*d:(v+1)*d], dh)
			}
			if dw != nil {
				axpy(dz, row, dw[v*d:(v+1)*d])
			}
		}
		if dh != nil {
			round(dhidden[t*d:(t+1)*d], dh)
		}
	}
	if loss != nil {
		loss[0] = T(total)
	}
	if dw != nil {
		round(dweight, dw)
	}
}
