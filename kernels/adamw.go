package kernels

import "math"

// AdamW is one step of the optimizer (Loshchilov and Hutter 2019, arXiv:1711.05101), in the order of torch.optim.AdamW.
// hyper holds what changes from step to step: [0] learning rate, [1] 1-Beta1^t, [2] 1-Beta2^t with t from 1, [3] what the
// gradient is multiplied by first (clipping).
//
//	g = hyper[3]·grad
//	param = param·(1 - lr·WeightDecay)
//	m = Beta1·m + (1-Beta1)·g,  v = Beta2·v + (1-Beta2)·g²
//	param = param - lr/hyper[1] · m / (sqrt(v)/sqrt(hyper[2]) + Eps)
//
//	in:  param, grad, m, v of one shape, hyper (4), all f32
//	out: param, m, v: the same buffers as the inputs'
type AdamW struct{ Beta1, Beta2, Eps, WeightDecay float64 }

// Name implements Kernel.
func (AdamW) Name() string { return "adamw" }

// Tol implements Kernel: a few float32 operations, whatever the activations are stored as.
func (AdamW) Tol() Tol { return Tol{Float32: 1e-6, BFloat16: 1e-6} }

// Float32 implements Kernel.
func (k AdamW) Float32(in, out []*Tensor[float32]) { adamW(k, in, out) }

// Float64 implements Kernel.
func (k AdamW) Float64(in, out []*Tensor[float64]) { adamW(k, in, out) }

func adamW[T Float](k AdamW, in, out []*Tensor[T]) {
	param, grad, m, v, hyper := in[0].F, in[1].F, in[2].F, in[3].F, in[4].F
	outParam, outM, outV := wanted(out, 0), wanted(out, 1), wanted(out, 2)
	lr, scale := float64(hyper[0]), float64(hyper[3])
	decay, step, bias2 := 1-lr*k.WeightDecay, lr/float64(hyper[1]), math.Sqrt(float64(hyper[2]))
	for i := range param {
		g := scale * float64(grad[i])
		m1 := k.Beta1*float64(m[i]) + (1-k.Beta1)*g
		v1 := k.Beta2*float64(v[i]) + (1-k.Beta2)*g*g
		p := float64(param[i])*decay - step*m1/(math.Sqrt(v1)/bias2+k.Eps)
		if outParam != nil {
			outParam[i] = T(p)
		}
		if outM != nil {
			outM[i] = T(m1)
		}
		if outV != nil {
			outV[i] = T(v1)
		}
	}
}
