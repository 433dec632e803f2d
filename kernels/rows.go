package kernels

// Rows picks rows of a matrix, where only some tokens' logits are needed (generation): y[n] = x[index[n]].
//
//	in:  x (T,D), index (N) int32
//	out: y (N,D)
type Rows struct{}

// Name implements Kernel.
func (Rows) Name() string { return "rows" }

// Tol implements Kernel: a copy is exact.
func (Rows) Tol() Tol { return Tol{Float32: 0, BFloat16: 0} }

// Float32 implements Kernel.
func (Rows) Float32(in, out []*Tensor[float32]) { pickRows(in, out) }

// Float64 implements Kernel.
func (Rows) Float64(in, out []*Tensor[float64]) { pickRows(in, out) }
