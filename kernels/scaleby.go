package kernels

// ScaleBy multiplies by a scalar that is itself a value of the graph: y = s·x. It carries the gradient of a loss to what
// the loss's forward pass has already made.
//
//	in:  x of any shape, s () f32
//	out: y of x's shape
type ScaleBy struct{}

// Name implements Kernel.
func (ScaleBy) Name() string { return "scaleby" }

// Tol implements Kernel: one product, rounded to the storage (2^-24 or 2^-9).
func (ScaleBy) Tol() Tol { return Tol{Float32: 1e-7, BFloat16: 4e-3} }

// Float32 implements Kernel.
func (ScaleBy) Float32(in, out []*Tensor[float32]) { scaleBy(in, out) }

// Float64 implements Kernel.
func (ScaleBy) Float64(in, out []*Tensor[float64]) { scaleBy(in, out) }

func scaleBy[T Float](in, out []*Tensor[T]) {
	y := wanted(out, 0)
	if y == nil {
		return
	}
	s := in[1].F[0]
	for i, x := range in[0].F {
		y[i] = s * x
	}
}
