package cpu

import (
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

func adamWOperands(n int) operandsOf {
	return func(r *rand.Rand, _ kernels.Dtype) (in, out []View) {
		for range 4 {
			in = append(in, normal(r, kernels.Float32, n))
			out = append(out, newView(kernels.Float32, n))
		}
		for i := range n { // v is a mean of squares
			set(in[3], i, get(in[3], i)*get(in[3], i))
		}
		hyper := newView(kernels.Float32, 4)
		copy(hyper.f32(), []float32{3e-4, 1 - 0.9*0.9*0.9, 1 - 0.999*0.999*0.999, 0.5})
		return append(in, hyper), out[:3]
	}
}

func TestAdamW(t *testing.T) {
	k := kernels.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1}
	for _, n := range []int{1, 17, 40003} {
		conform(t, k, adamWOperands(n))
	}
	inPlace(t, k, adamWOperands(70001), [2]int{0, 0}, [2]int{2, 1}, [2]int{3, 2})
	in, out := adamWOperands(5).fresh(kernels.Float32)
	refuses(t, k, append(in[:4:4], newView(kernels.Float32, 3)), out, "hyper")
}

func BenchmarkAdamW(b *testing.B) {
	benchmark(b, kernels.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, adamWOperands(1<<21))
}
