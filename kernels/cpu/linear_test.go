package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

// linearOperands are inputs and outputs of a Linear of the given sizes.
func linearOperands(k kernels.Linear, rows, i, o int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		in = []View{normal(r, d, rows, i), normal(r, d, o, i)}
		if k.Bias {
			in = append(in, normal(r, kernels.Float32, o))
		}
		out = []View{newView(d, rows, o)}
		if k.Rank > 0 {
			in = append(in, adapter(r, i, k.Rank, i), adapter(r, i, o, k.Rank))
			out = append(out, newView(kernels.Float32, rows, k.Rank))
		}
		if k.Dropout > 0 {
			in = append(in, randomKeys(r, rows))
		}
		return in, out
	}
}

func linearBwdOperands(k kernels.LinearBwd, rows, i, o int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		in = []View{normal(r, d, rows, i), normal(r, d, o, i)}
		out = []View{newView(d, rows, i), newView(kernels.Float32, o, i), newView(kernels.Float32, o)}
		if k.Rank > 0 {
			in = append(in, adapter(r, o, k.Rank, i), adapter(r, o, o, k.Rank), normal(r, kernels.Float32, rows, k.Rank))
			out = append(out, newView(kernels.Float32, k.Rank, i), newView(kernels.Float32, o, k.Rank))
		}
		if k.Dropout > 0 {
			in = append(in, randomKeys(r, rows))
		}
		return append(in, normal(r, d, rows, o)), out
	}
}

// adapter is a LoRA matrix small enough, beside weights of variance 1 and sums of n terms, that what rounding it to bfloat16
// does is within the tolerance of the sum.
func adapter(r *rand.Rand, n int, shape ...int) View {
	v := normal(r, kernels.Float32, shape...)
	for i, x := range v.f32() {
		v.f32()[i] = x / float32(math.Sqrt(float64(n)))
	}
	return v
}

func randomKeys(r *rand.Rand, n int) View {
	keys := make([]int32, n)
	for i := range keys {
		keys[i] = int32(r.Uint32())
	}
	return ints(keys, n)
}

var linearSizes = [][3]int{{1, 1, 1}, {3, 5, 2}, {17, 33, 65}, {65, 17, 129}, {129, 130, 33}, {30, 64, 48}}

func TestLinear(t *testing.T) {
	for _, size := range linearSizes {
		for _, k := range []kernels.Linear{
			{}, {Bias: true}, {Rank: 3, Scale: 2}, {Rank: 16, Scale: 0.5, Bias: true},
			{Rank: 20, Scale: 1, Dropout: 0.3, Salt: 5},
		} {
			t.Run(fmt.Sprint(size, k), func(t *testing.T) { conform(t, k, linearOperands(k, size[0], size[1], size[2])) })
		}
	}
}

func TestLinearBwd(t *testing.T) {
	for _, size := range linearSizes {
		for _, k := range []kernels.LinearBwd{{Bias: true}, {Rank: 16, Scale: 0.5}, {Rank: 5, Scale: 2, Dropout: 0.3, Salt: 9}} {
			t.Run(fmt.Sprint(size, k), func(t *testing.T) { conform(t, k, linearBwdOperands(k, size[0], size[1], size[2])) })
		}
	}
}

// Sums longer than the tile kernel takes at once, with rows on both sides of a piece.
func TestLinearLongSums(t *testing.T) {
	conform(t, kernels.Linear{Rank: 4, Scale: 1, Dropout: 0.1}, linearOperands(kernels.Linear{Rank: 4, Dropout: 0.1}, 31, 4133, 40))
	conform(t, kernels.LinearBwd{Rank: 4, Scale: 1, Dropout: 0.1}, linearBwdOperands(kernels.LinearBwd{Rank: 4, Dropout: 0.1}, 2125, 18, 37))
}

// Ranks on both sides of what the thin product takes, and columns beyond one of its blocks.
func TestLinearRanks(t *testing.T) {
	for _, rank := range []int{1, 8, 9, 257} {
		k := kernels.LinearBwd{Rank: rank, Scale: 0.5, Dropout: 0.2, Salt: 3}
		t.Run(fmt.Sprint(rank), func(t *testing.T) { conform(t, k, linearBwdOperands(k, 130, 99, 7)) })
	}
}

// Float32 weights under bfloat16 activations are rounded at use; bfloat16 weights under float32 activations are not.
func TestLinearMixedStorage(t *testing.T) {
	k := kernels.Linear{Rank: 4, Scale: 1}
	for _, weights := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		conform(t, k, func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
			return []View{normal(r, d, 33, 47), normal(r, weights, 35, 47), newView(weights, 4, 47), newView(weights, 35, 4)},
				[]View{newView(d, 33, 35), newView(kernels.Float32, 33, 4)}
		})
	}
}

func TestLinearRefuses(t *testing.T) {
	k := kernels.Linear{Rank: 4, Scale: 1, Dropout: 0.5}
	fresh := func() ([]View, []View) { return linearOperands(k, 6, 5, 7).fresh(kernels.Float32) }
	in, out := fresh()
	in[1] = newView(kernels.Float32, 7, 4)
	refuses(t, k, in, out, "has no rows of 4")
	in, out = fresh()
	refuses(t, k, append(in, in[0]), out, "6 inputs and 2 outputs, takes 5 and 2")
	in, out = fresh()
	in[4] = ints(make([]int32, 5), 5)
	refuses(t, k, in, out, "keys")
	in, out = fresh()
	out[0] = newView(kernels.Float32, 6, 8)
	refuses(t, k, in, out, "must be float32 or bfloat16 of 42 elements")
	in, out = fresh()
	out[1] = newView(kernels.BFloat16, 6, 4)
	refuses(t, k, in, out, "must be float32")
}
