package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"attune/kernels"
)

func cachedOperands(heads, kv, dh, size int, positions ...int32) operandsOf {
	t := len(positions)
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return []View{normal(r, d, t, heads, dh), normal(r, d, t, kv, dh), normal(r, d, t, kv, dh),
			normal(r, d, size, kv, dh), normal(r, d, size, kv, dh), ints(positions, t)}, []View{normal(r, d, t, heads, dh)}
	}
}

func TestAttentionCached(t *testing.T) {
	var prompt []int32
	for p := range int32(150) {
		prompt = append(prompt, p+3)
	}
	for _, c := range []struct {
		heads, kv, dh, size, window int
		softCap                     float64
		positions                   []int32
	}{
		{heads: 9, kv: 3, dh: 64, size: 300, positions: []int32{257}},
		{heads: 2, kv: 1, dh: 20, size: 10, positions: []int32{0}},
		{heads: 2, kv: 2, dh: 16, size: 200, positions: prompt},
		{heads: 4, kv: 1, dh: 16, size: 200, window: 70, softCap: 2, positions: prompt},
		{heads: 2, kv: 1, dh: 16, size: 40, positions: []int32{-1, 5, 6, -1, 30, -1}},
		{heads: 2, kv: 1, dh: 16, size: 40, positions: []int32{-1}},
	} {
		t.Run(fmt.Sprintf("%d of %d heads, %d tokens", c.heads, c.kv, len(c.positions)), func(t *testing.T) {
			k := kernels.AttentionCached{Scale: 0.3, Window: c.window, SoftCap: c.softCap}
			conform(t, k, cachedOperands(c.heads, c.kv, c.dh, c.size, c.positions...))
		})
	}
	in, out := cachedOperands(2, 1, 8, 10, 4, 10).fresh(kernels.Float32)
	refuses(t, kernels.AttentionCached{Scale: 1}, in, out, "positions[1] is 10")
}

// The new keys and values are in the cache afterwards, nothing else is changed, and no output need be wanted for it.
func TestAttentionCachedWrites(t *testing.T) {
	engines(t, func(t *testing.T, e *Engine) {
		in, out := cachedOperands(2, 1, 4, 6, 2, -1, 5).fresh(kernels.BFloat16)
		want := [][]uint16{slices.Clone(in[3].u16()), slices.Clone(in[4].u16())}
		for i, x := range []View{in[1], in[2]} {
			copy(want[i][2*4:3*4], x.u16()[0*4:])
			copy(want[i][5*4:6*4], x.u16()[2*4:])
		}
		out[0] = View{}
		runKernel(t, e, kernels.AttentionCached{Scale: 1}, in, out)
		for i, cache := range in[3:5] {
			if !slices.Equal(cache.u16(), want[i]) {
				t.Errorf("cache %d is %x, want %x", i, cache.u16(), want[i])
			}
		}
	})
}

// Generation a token at a time gives what attention gives for the whole sequence.
func TestAttentionCachedIsAttention(t *testing.T) {
	const n = 90
	engines(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(5, 6))
		in, whole := attentionOperands(4, 2, 16, n)(r, kernels.Float32)
		runKernel(t, e, kernels.Attention{Scale: 0.25, Window: 50}, in, whole)
		kcache, vcache := normal(r, kernels.Float32, n+5, 2, 16), normal(r, kernels.Float32, n+5, 2, 16)
		row := func(v View, t int) View {
			size := len(v.Data) / v.Shape[0]
			return View{Data: v.Data[t*size : (t+1)*size], Dtype: v.Dtype, Shape: append([]int{1}, v.Shape[1:]...)}
		}
		for i := range n {
			o := newView(kernels.Float32, 1, 4, 16)
			step := []View{row(in[0], i), row(in[1], i), row(in[2], i), kcache, vcache, ints([]int32{int32(i)}, 1)}
			runKernel(t, e, kernels.AttentionCached{Scale: 0.25, Window: 50}, step, []View{o})
			for j := range o.elems() {
				if got, want := get(o, j), get(row(whole[0], i), j); got-want > 1e-5 || want-got > 1e-5 {
					t.Fatalf("token %d, element %d is %g, want %g", i, j, got, want)
				}
			}
		}
	})
}

func BenchmarkAttentionCached(b *testing.B) {
	for _, n := range []int32{512, 8192} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmark(b, kernels.AttentionCached{Scale: 0.125}, cachedOperands(9, 3, 64, int(n), n-1))
		})
	}
}
