package cpu

import (
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

func TestEmbed(t *testing.T) {
	conform(t, kernels.Embed{}, pickOperands(1000, 37, 300))
}

func TestEmbedBwd(t *testing.T) {
	for _, c := range []struct{ v, d, n int }{{1, 1, 5}, {10, 33, 0}, {3000, 37, 400}, {5, 64, 700}} {
		conform(t, kernels.EmbedBwd{}, func(r *rand.Rand, dt kernels.Dtype) (in, out []View) {
			pick, _ := pickOperands(c.v, c.d, c.n)(r, dt)
			return []View{pick[1], normal(r, dt, c.n, c.d)}, []View{normal(r, kernels.Float32, c.v, c.d)}
		})
	}
	out := []View{newView(kernels.Float32, 4, 2)}
	refuses(t, kernels.EmbedBwd{}, []View{ints([]int32{1, 4}, 2), newView(kernels.Float32, 2, 2)}, out, "ids[1] is 4")
}
