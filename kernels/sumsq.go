package kernels

// SumSq is the sum of squares of a gradient, for clipping by the global norm: s = Σ x², added in float64.
//
//	in:  x of any shape
//	out: s () f32
type SumSq struct{}

// Name implements Kernel.
func (SumSq) Name() string { return "sumsq" }

// Tol implements Kernel: added in float64, rounded once to float32.
func (SumSq) Tol() Tol { return Tol{Float32: 1e-7, BFloat16: 1e-7} }

// Float32 implements Kernel.
func (SumSq) Float32(in, out []*Tensor[float32]) { sumSq(in, out) }

// Float64 implements Kernel.
func (SumSq) Float64(in, out []*Tensor[float64]) { sumSq(in, out) }

func sumSq[T Float](in, out []*Tensor[T]) {
	if s := wanted(out, 0); s != nil {
		s[0] = T(dot(in[0].F, in[0].F))
	}
}
