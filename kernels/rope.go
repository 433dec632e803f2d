package kernels

import "math"

// RoPE turns each pair (x[i], x[i+Dh/2]) of a head by an angle that grows with the token's position (Su et al. 2021,
// arXiv:2104.09864), in the half-split layout of transformers' rotate_half:
//
//	c = cos(p·InvFreq[i])·Scale, s = sin(p·InvFreq[i])·Scale
//	y[i] = x[i]·c - x[i+Dh/2]·s,  y[i+Dh/2] = x[i+Dh/2]·c + x[i]·s
//
// Inverse negates s: the transpose, hence the gradient. InvFreq has Dh/2 elements; Scale is YaRN's attention factor, 1 elsewhere.
//
//	in:  x (T,H,Dh), positions (T) int32
//	out: y (T,H,Dh)
type RoPE struct {
	InvFreq []float64
	Scale   float64
	Inverse bool
}

// Name implements Kernel.
func (RoPE) Name() string { return "rope" }

// Tol implements Kernel: in float32 the angle itself may be off by half a unit of its last place (position 10^4: 5e-4);
// the figure is for angles taken in float64 and functions in float32. In bfloat16 y is rounded once (2^-9).
func (RoPE) Tol() Tol { return Tol{Float32: 4e-6, BFloat16: 4e-3} }

// Float32 implements Kernel.
func (k RoPE) Float32(in, out []*Tensor[float32]) { rope(k, in, out) }

// Float64 implements Kernel.
func (k RoPE) Float64(in, out []*Tensor[float64]) { rope(k, in, out) }

func rope[T Float](k RoPE, in, out []*Tensor[T]) {
	y := wanted(out, 0)
	if y == nil {
		return
	}
	x, positions := in[0].F, in[1].I
	heads, dh := in[0].Shape[1], in[0].Shape[2]
	half := dh / 2
	cos, sin := make([]float64, half), make([]float64, half)
	for t, p := range positions {
		for i, f := range k.InvFreq {
			s, c := math.Sincos(float64(p) * f)
			if k.Inverse {
				s = -s
			}
			cos[i], sin[i] = c*k.Scale, s*k.Scale
		}
		for h := range heads {
			at := (t*heads + h) * dh
			for i := range half {
				a, b := float64(x[at+i]), float64(x[at+half+i])
				y[at+i] = T(a*cos[i] - b*sin[i])
				y[at+half+i] = T(b*cos[i] + a*sin[i])
			}
		}
	}
}
