package cpu

import (
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

func pickOperands(v, d, n int) operandsOf {
	return func(r *rand.Rand, dt kernels.Dtype) (in, out []View) {
		index := make([]int32, n)
		for i := range index {
			index[i] = int32(r.IntN(v))
		}
		return []View{normal(r, dt, v, d), ints(index, n)}, []View{newView(dt, n, d)}
	}
}

func TestRows(t *testing.T) {
	conform(t, kernels.Rows{}, pickOperands(7, 5, 1))
	conform(t, kernels.Rows{}, pickOperands(300, 77, 500))
	conform(t, kernels.Rows{}, pickOperands(3, 16, 0))
	in, out := pickOperands(4, 6, 3).fresh(kernels.Float32)
	refuses(t, kernels.Rows{}, []View{in[0], ints([]int32{0, 4, 1}, 3)}, out, "index[1] is 4")
	refuses(t, kernels.Rows{}, []View{in[0], ints([]int32{0, -1, 1}, 3)}, out, "index[1] is -1")
}

// A bfloat16 table read into float32 activations is exact.
func TestRowsWiden(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	in, out := []View{normal(r, kernels.BFloat16, 9, 33), ints([]int32{8, 0, 8}, 3)}, []View{newView(kernels.Float32, 3, 33)}
	engines(t, func(t *testing.T, e *Engine) {
		runKernel(t, e, kernels.Rows{}, in, out)
		for i := range out[0].elems() {
			if got, want := get(out[0], i), get(in[0], int(in[1].i32()[i/33])*33+i%33); got != want {
				t.Fatalf("element %d is %g, want %g", i, got, want)
			}
		}
	})
}
