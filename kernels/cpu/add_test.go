package cpu

import (
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

func addOperands(n ...int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return []View{normal(r, d, n...), normal(r, d, n...)}, []View{newView(d, n...)}
	}
}

func TestAdd(t *testing.T) {
	for _, shape := range [][]int{{}, {1}, {3, 5}, {7, 9001}, {2, 3, 16}} {
		conform(t, kernels.Add{}, addOperands(shape...))
	}
	inPlace(t, kernels.Add{}, addOperands(3, 50001), [2]int{0, 0})
	inPlace(t, kernels.Add{}, addOperands(3, 50001), [2]int{1, 0})
	in, out := addOperands(4, 3).fresh(kernels.Float32)
	refuses(t, kernels.Add{}, []View{in[0], newView(kernels.Float32, 3, 4)}, out, "[4 3]")
}

// Operands of different storage: a float32 gradient and a bfloat16 one.
func TestAddMixed(t *testing.T) {
	conform(t, kernels.Add{}, func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return []View{normal(r, kernels.Float32, 5, 77), normal(r, kernels.BFloat16, 5, 77)}, []View{newView(d, 5, 77)}
	})
}

func BenchmarkAdd(b *testing.B) { benchmark(b, kernels.Add{}, addOperands(2048, 576)) }
