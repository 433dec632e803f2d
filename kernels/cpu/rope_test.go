package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

// invFreq is theta^(-2i/dh), as models have it.
func invFreq(dh int, theta float64) []float64 {
	f := make([]float64, dh/2)
	for i := range f {
		f[i] = math.Pow(theta, -2*float64(i)/float64(dh))
	}
	return f
}

func ropeOperands(t, h, dh, last int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		p := make([]int32, t)
		for i := range p {
			p[i] = int32(r.IntN(last + 1))
		}
		return []View{normal(r, d, t, h, dh), ints(p, t)}, []View{newView(d, t, h, dh)}
	}
}

func TestRoPE(t *testing.T) {
	for _, c := range []struct{ t, h, dh, last int }{{1, 1, 2, 0}, {70, 3, 64, 8191}, {5, 2, 80, 1 << 20}, {9, 1, 22, 300}} {
		for _, inverse := range []bool{false, true} {
			k := kernels.RoPE{InvFreq: invFreq(c.dh, 1e5), Scale: 1.25, Inverse: inverse}
			conform(t, k, ropeOperands(c.t, c.h, c.dh, c.last))
			inPlace(t, k, ropeOperands(c.t, c.h, c.dh, c.last), [2]int{0, 0})
		}
	}
	in, out := ropeOperands(3, 2, 8, 9).fresh(kernels.Float32)
	refuses(t, kernels.RoPE{InvFreq: invFreq(6, 1e4)}, in, out, "(T,H,6)")
}

func BenchmarkRoPE(b *testing.B) {
	benchmark(b, kernels.RoPE{InvFreq: invFreq(64, 1e4), Scale: 1}, ropeOperands(2048, 9, 64, 500))
}
