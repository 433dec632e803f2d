package kernels

// Accumulate adds a micro-batch's gradient to the step's: acc = acc + x.
//
//	in:  acc f32, x of the same shape
//	out: acc f32, the same buffer as the input's
type Accumulate struct{}

// Name implements Kernel.
func (Accumulate) Name() string { return "accumulate" }

// Tol implements Kernel: one addition in float32.
func (Accumulate) Tol() Tol { return Tol{Float32: 1e-7, BFloat16: 1e-7} }

// Float32 implements Kernel.
func (Accumulate) Float32(in, out []*Tensor[float32]) { add(in, out) }

// Float64 implements Kernel.
func (Accumulate) Float64(in, out []*Tensor[float64]) { add(in, out) }

// Zero clears a buffer: x = 0.
//
//	in:  nothing
//	out: x of any shape
type Zero struct{}

// Name implements Kernel.
func (Zero) Name() string { return "zero" }

// Tol implements Kernel: exact.
func (Zero) Tol() Tol { return Tol{Float32: 0, BFloat16: 0} }

// Float32 implements Kernel.
func (Zero) Float32(_, out []*Tensor[float32]) { clear(wanted(out, 0)) }

// Float64 implements Kernel.
func (Zero) Float64(_, out []*Tensor[float64]) { clear(wanted(out, 0)) }
