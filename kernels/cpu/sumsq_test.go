package cpu

import (
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

func sumSqOperands(shape ...int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return []View{normal(r, d, shape...)}, []View{newView(kernels.Float32)}
	}
}

func TestSumSq(t *testing.T) {
	for _, shape := range [][]int{{}, {0}, {5, 3}, {1 << 16}, {3, 70001}} {
		conform(t, kernels.SumSq{}, sumSqOperands(shape...))
	}
}

func BenchmarkSumSq(b *testing.B) { benchmark(b, kernels.SumSq{}, sumSqOperands(1<<22)) }
