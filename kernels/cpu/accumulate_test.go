package cpu

import (
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

func TestAccumulate(t *testing.T) {
	f := func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return []View{normal(r, kernels.Float32, 3, 20011), normal(r, d, 3, 20011)}, []View{newView(kernels.Float32, 3, 20011)}
	}
	conform(t, kernels.Accumulate{}, f)
	inPlace(t, kernels.Accumulate{}, f, [2]int{0, 0})
	in, _ := operandsOf(f).fresh(kernels.Float32)
	refuses(t, kernels.Accumulate{}, in, []View{newView(kernels.BFloat16, 3, 20011)}, "float32")
}

func TestZero(t *testing.T) {
	conform(t, kernels.Zero{}, func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return nil, []View{normal(r, d, 3, 300001)}
	})
}
