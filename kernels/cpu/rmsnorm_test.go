package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"attune/kernels"
)

func rmsNormOperands(shape ...int) operandsOf {
	rows := newView(kernels.Float32, shape...).rows()
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return []View{normal(r, d, shape...), normal(r, d, shape[len(shape)-1])},
			[]View{newView(d, shape...), newView(kernels.Float32, rows)}
	}
}

func rmsNormBwdOperands(shape ...int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		fwd, stats := rmsNormOperands(shape...)(r, d)
		kernels.RMSNorm{Eps: 1e-5}.Float32(tensors(fwd), tensors(stats))
		return []View{fwd[0], fwd[1], stats[1], normal(r, d, shape...)},
			[]View{newView(d, shape...), newView(kernels.Float32, shape[len(shape)-1])}
	}
}

// tensors gives views to the float32 reference: its outputs land in the float32 views and are lost for others.
func tensors(views []View) []*kernels.Tensor[float32] {
	var out []*kernels.Tensor[float32]
	for _, v := range views {
		t, err := widen(v, true)
		if err != nil {
			panic(err)
		}
		out = append(out, t)
	}
	return out
}

var rmsNormShapes = [][]int{{1, 2}, {3, 7}, {5, 100}, {130, 576}, {2, 3, 65}, {0, 8}}

func TestRMSNorm(t *testing.T) {
	for _, shape := range rmsNormShapes {
		conform(t, kernels.RMSNorm{Eps: 1e-5}, rmsNormOperands(shape...))
	}
	inPlace(t, kernels.RMSNorm{Eps: 1e-5}, rmsNormOperands(130, 65), [2]int{0, 0})
	in, out := rmsNormOperands(3, 4).fresh(kernels.Float32)
	refuses(t, kernels.RMSNorm{}, []View{in[0], newView(kernels.Float32, 3)}, out, "weight")
}

func TestRMSNormBwd(t *testing.T) {
	for _, shape := range rmsNormShapes {
		conform(t, kernels.RMSNormBwd{}, rmsNormBwdOperands(shape...))
	}
	for _, from := range []int{0, 3} {
		inPlace(t, kernels.RMSNormBwd{}, rmsNormBwdOperands(130, 65), [2]int{from, 0})
	}
}

// A row of zeros must not divide by zero: Eps keeps it finite.
func TestRMSNormOfZeros(t *testing.T) {
	engines(t, func(t *testing.T, e *Engine) {
		in := []View{newView(kernels.Float32, 2, 20), newView(kernels.Float32, 20)}
		out := []View{newView(kernels.Float32, 2, 20), newView(kernels.Float32, 2)}
		runKernel(t, e, kernels.RMSNorm{Eps: 1e-6}, in, out)
		if !slices.Equal(out[1].f32(), []float32{1000, 1000}) || get(out[0], 0) != 0 {
			t.Errorf("y %v, rstd %v, want 0 and 1000", out[0].f32()[:1], out[1].f32())
		}
	})
}

func BenchmarkRMSNorm(b *testing.B) {
	benchmark(b, kernels.RMSNorm{Eps: 1e-5}, rmsNormOperands(2048, 576))
}

func BenchmarkRMSNormBwd(b *testing.B) {
	benchmark(b, kernels.RMSNormBwd{}, rmsNormBwdOperands(2048, 576))
}
