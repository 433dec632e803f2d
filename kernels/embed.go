package kernels

// Embed looks rows of a table up: y[t] = weight[ids[t]].
//
//	in:  weight (V,D), ids (T) int32
//	out: y (T,D)
type Embed struct{}

// Name implements Kernel.
func (Embed) Name() string { return "embed" }

// Tol implements Kernel: a copy is exact; a table kept in float32 is rounded to bfloat16 activations (2^-9).
func (Embed) Tol() Tol { return Tol{Float32: 0, BFloat16: 4e-3} }

// Float32 implements Kernel.
func (Embed) Float32(in, out []*Tensor[float32]) { pickRows(in, out) }

// Float64 implements Kernel.
func (Embed) Float64(in, out []*Tensor[float64]) { pickRows(in, out) }

// pickRows copies row index[n] of in[0] to row n of out[0]; the rows are what is behind the first dimension.
func pickRows[T Float](in, out []*Tensor[T]) {
	y := wanted(out, 0)
	if y == nil {
		return
	}
	index := in[1].I
	if len(index) == 0 {
		return
	}
	d := len(y) / len(index)
	for n, r := range index {
		copy(y[n*d:(n+1)*d], in[0].F[int(r)*d:(int(r)+1)*d])
	}
}

// EmbedBwd is the gradient of Embed for a trained table: dweight[v] = Σ over t with ids[t] = v of dy[t], added in
// ascending t.
//
//	in:  ids (T) int32, dy (T,D)
//	out: dweight (V,D) f32
type EmbedBwd struct{}

// Name implements Kernel.
func (EmbedBwd) Name() string { return "embed_bwd" }

// Tol implements Kernel: sums of stored values in float32.
func (EmbedBwd) Tol() Tol { return Tol{Float32: 1e-6, BFloat16: 1e-6} }

// Float32 implements Kernel.
func (EmbedBwd) Float32(in, out []*Tensor[float32]) { embedBwd(in, out) }

// Float64 implements Kernel.
func (EmbedBwd) Float64(in, out []*Tensor[float64]) { embedBwd(in, out) }

func embedBwd[T Float](in, out []*Tensor[T]) {
	dw := wanted(out, 0)
	if dw == nil {
		return
	}
	ids, dy := in[0].I, in[1].F
	sum := make([]float64, len(dw))
	if len(ids) > 0 {
		d := len(dy) / len(ids)
		for t, id := range ids {
			axpy(1, dy[t*d:(t+1)*d], sum[int(id)*d:(int(id)+1)*d])
		}
	}
	round(dw, sum)
}
