package kernels

import "math"

// RMSNorm normalises the last dimension by its root mean square (Zhang and Sennrich 2019, arXiv:1910.07467):
//
//	rstd = 1 / sqrt(mean(x²) + Eps)
//	y    = x · rstd · weight
//
//	in:  x (...,D), weight (D)
//	out: y (...,D), rstd (rows) f32, where rows is the product of all dimensions of x but the last
type RMSNorm struct{ Eps float64 }

// Name implements Kernel.
func (RMSNorm) Name() string { return "rmsnorm" }

// Tol implements Kernel: in bfloat16 y is rounded once (2^-9).
func (RMSNorm) Tol() Tol { return Tol{Float32: 2e-6, BFloat16: 4e-3} }

// Float32 implements Kernel.
func (k RMSNorm) Float32(in, out []*Tensor[float32]) { rmsNorm(k, in, out) }

// Float64 implements Kernel.
func (k RMSNorm) Float64(in, out []*Tensor[float64]) { rmsNorm(k, in, out) }

func rmsNorm[T Float](k RMSNorm, in, out []*Tensor[T]) {
	x, w := in[0].F, in[1].F
	y, rstd := wanted(out, 0), wanted(out, 1)
	d := len(w)
	for r := range len(x) / d {
		row := x[r*d : (r+1)*d]
		s := 1 / math.Sqrt(dot(row, row)/float64(d)+k.Eps)
		if rstd != nil {
			rstd[r] = T(s)
		}
		if y != nil {
			for i, v := range row {
				y[r*d+i] = T(float64(v) * s * float64(w[i]))
			}
		}
	}
}

// RMSNormBwd is the gradient of RMSNorm. With n = x·rstd:
//
//	dx      = rstd · (weight·dy - n · mean(weight·dy·n))
//	dweight = Σ over rows of dy·n
//
//	in:  x (...,D), weight (D), rstd (rows), dy (...,D)
//	out: dx (...,D), dweight (D) f32
type RMSNormBwd struct{}

// Name implements Kernel.
func (RMSNormBwd) Name() string { return "rmsnorm_bwd" }

// Tol implements Kernel: in bfloat16 dx is rounded once (2^-9).
func (RMSNormBwd) Tol() Tol { return Tol{Float32: 4e-6, BFloat16: 4e-3} }

// Float32 implements Kernel.
func (RMSNormBwd) Float32(in, out []*Tensor[float32]) { rmsNormBwd(in, out) }

// Float64 implements Kernel.
func (RMSNormBwd) Float64(in, out []*Tensor[float64]) { rmsNormBwd(in, out) }

func rmsNormBwd[T Float](in, out []*Tensor[T]) {
	x, w, rstd, dy := in[0].F, in[1].F, in[2].F, in[3].F
	dx, dw := wanted(out, 0), wanted(out, 1)
	d := len(w)
	sum := make([]float64, d)
	for r := range len(x) / d {
		row, g, s := x[r*d:(r+1)*d], dy[r*d:(r+1)*d], float64(rstd[r])
		var mean float64
		for i, v := range row {
			n := float64(v) * s
			mean += float64(w[i]) * float64(g[i]) * n
			sum[i] += float64(g[i]) * n
		}
		mean /= float64(d)
		if dx != nil {
			for i, v := range row {
				dx[r*d+i] = T(s * (float64(w[i])*float64(g[i]) - float64(v)*s*mean))
			}
		}
	}
	if dw != nil {
		round(dw, sum)
	}
}
