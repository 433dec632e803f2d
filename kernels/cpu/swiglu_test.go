package cpu

import (
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

// swiGLUOperands holds gates from -100 to 100 beside the usual ones, so that every branch of the functions is met.
func swiGLUOperands(shape ...int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		gate := normal(r, d, shape...)
		for i := 0; i < gate.elems(); i += 5 {
			set(gate, i, get(gate, i)*5)
		}
		for i, x := range []float64{0, -100, 100, -88, 88, -20, 20, 0.001, -1e-20} {
			if i < gate.elems() {
				set(gate, i, x)
			}
		}
		return []View{gate, normal(r, d, shape...)}, []View{newView(d, shape...)}
	}
}

func swiGLUBwdOperands(shape ...int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		in, out = swiGLUOperands(shape...)(r, d)
		return append(in, normal(r, d, shape...)), append(out, newView(d, shape...))
	}
}

func TestSwiGLU(t *testing.T) {
	for _, act := range kernels.Activations() {
		for _, shape := range [][]int{{1, 1}, {3, 7}, {5, 9001}} {
			conform(t, kernels.SwiGLU{Act: act}, swiGLUOperands(shape...))
			conform(t, kernels.SwiGLUBwd{Act: act}, swiGLUBwdOperands(shape...))
		}
		for i := range 2 {
			inPlace(t, kernels.SwiGLU{Act: act}, swiGLUOperands(3, 301), [2]int{i, 0})
		}
		for i := range 3 {
			for j := range 3 {
				if i != j {
					inPlace(t, kernels.SwiGLUBwd{Act: act}, swiGLUBwdOperands(3, 301), [2]int{i, 0}, [2]int{j, 1})
				}
			}
		}
	}
	in, out := swiGLUOperands(2, 2).fresh(kernels.Float32)
	refuses(t, kernels.SwiGLU{Act: "relu"}, in, out, `"relu"`)
}

func BenchmarkSwiGLU(b *testing.B) {
	benchmark(b, kernels.SwiGLU{Act: "silu"}, swiGLUOperands(2048, 1536))
}

func BenchmarkSwiGLUBwd(b *testing.B) {
	benchmark(b, kernels.SwiGLUBwd{Act: "silu"}, swiGLUBwdOperands(2048, 1536))
}
