package cpu

import (
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

func TestScaleBy(t *testing.T) {
	f := func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return []View{normal(r, d, 3, 20011), normal(r, kernels.Float32)}, []View{newView(d, 3, 20011)}
	}
	conform(t, kernels.ScaleBy{}, f)
	inPlace(t, kernels.ScaleBy{}, f, [2]int{0, 0})
	in, out := operandsOf(f).fresh(kernels.Float32)
	refuses(t, kernels.ScaleBy{}, []View{in[0], newView(kernels.Float32, 2)}, out, "s is float32[2]")
}
