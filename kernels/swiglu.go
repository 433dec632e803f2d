package kernels

import "math"

// SwiGLU is the gate of a feed-forward block (Shazeer 2020, arXiv:2002.05202): h = act(gate)·up. Act is
//
//	"silu":      x / (1 + exp(-x))
//	"gelu_tanh": x/2 · (1 + tanh(sqrt(2/π)·(x + 0.044715·x³)))
//	"gelu":      x/2 · (1 + erf(x/sqrt(2)))
//
//	in:  gate (T,F), up (T,F)
//	out: h (T,F)
type SwiGLU struct{ Act string }

// Name implements Kernel.
func (SwiGLU) Name() string { return "swiglu" }

// Tol implements Kernel: float32 exponentials are good to a few units; in bfloat16 h is rounded once (2^-9).
func (SwiGLU) Tol() Tol { return Tol{Float32: 4e-6, BFloat16: 4e-3} }

// Float32 implements Kernel.
func (k SwiGLU) Float32(in, out []*Tensor[float32]) { swiGLU(k, in, out) }

// Float64 implements Kernel.
func (k SwiGLU) Float64(in, out []*Tensor[float64]) { swiGLU(k, in, out) }

func swiGLU[T Float](k SwiGLU, in, out []*Tensor[T]) {
	h := wanted(out, 0)
	if h == nil {
		return
	}
	up := in[1].F
	for i, v := range in[0].F {
		a, _ := activation(k.Act, float64(v))
		h[i] = T(a * float64(up[i]))
	}
}

// SwiGLUBwd is the gradient of SwiGLU: dgate = act'(gate)·up·dh, dup = act(gate)·dh.
//
//	in:  gate (T,F), up (T,F), dh (T,F)
//	out: dgate (T,F), dup (T,F)
type SwiGLUBwd struct{ Act string }

// Name implements Kernel.
func (SwiGLUBwd) Name() string { return "swiglu_bwd" }

// Tol implements Kernel: as SwiGLU.
func (SwiGLUBwd) Tol() Tol { return Tol{Float32: 4e-6, BFloat16: 4e-3} }

// Float32 implements Kernel.
func (k SwiGLUBwd) Float32(in, out []*Tensor[float32]) { swiGLUBwd(k, in, out) }

// Float64 implements Kernel.
func (k SwiGLUBwd) Float64(in, out []*Tensor[float64]) { swiGLUBwd(k, in, out) }

func swiGLUBwd[T Float](k SwiGLUBwd, in, out []*Tensor[T]) {
	up, dh := in[1].F, in[2].F
	dgate, dup := wanted(out, 0), wanted(out, 1)
	for i, v := range in[0].F {
		a, da := activation(k.Act, float64(v))
		if dgate != nil {
			dgate[i] = T(da * float64(up[i]) * float64(dh[i]))
		}
		if dup != nil {
			dup[i] = T(a * float64(dh[i]))
		}
	}
}

// Activations are the values Act may have.
func Activations() []string { return []string{"silu", "gelu_tanh", "gelu"} }

// activation is act(x) and its derivative; an unknown name is the caller's error, which engine/op refuses.
func activation(act string, x float64) (a, da float64) {
	switch act {
	case "silu":
		s := 1 / (1 + math.Exp(-x))
		return x * s, s * (1 + x*(1-s))
	case "gelu_tanh":
		const c, cubic = 0.7978845608028653558798921198687637369517, 0.044715 // c = sqrt(2/π)
		th := math.Tanh(c * (x + cubic*x*x*x))
		return 0.5 * x * (1 + th), 0.5*(1+th) + 0.5*x*(1-th*th)*c*(1+3*cubic*x*x)
	case "gelu":
		cdf := 0.5 * (1 + math.Erf(x/math.Sqrt2))
		return x * cdf, cdf + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}
	panic("kernels: no activation " + act)
}
