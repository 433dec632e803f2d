package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

// segmentsOf is segments of these lengths, numbered; a negative length is padding.
func segmentsOf(lengths ...int) []int32 {
	var s []int32
	for n, length := range lengths {
		for range max(length, -length) {
			if length < 0 {
				s = append(s, -1)
			} else {
				s = append(s, int32(n))
			}
		}
	}
	return s
}

func attentionOperands(heads, kv, dh int, lengths ...int) operandsOf {
	segments := segmentsOf(lengths...)
	t := len(segments)
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		return []View{normal(r, d, t, heads, dh), normal(r, d, t, kv, dh), normal(r, d, t, kv, dh), ints(segments, t)},
			[]View{normal(r, d, t, heads, dh), normal(r, kernels.Float32, t, heads)}
	}
}

// attentionBwdOperands takes o and lse from the forward pass.
func attentionBwdOperands(a kernels.Attention, heads, kv, dh int, lengths ...int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		in, out = attentionOperands(heads, kv, dh, lengths...)(r, d)
		o, lse := newView(kernels.Float32, out[0].Shape...), out[1]
		a.Float32(tensors(in), tensors([]View{o, lse}))
		for i := range o.elems() {
			set(out[0], i, get(o, i))
		}
		in = append(in, out[0], lse, normal(r, d, in[0].Shape...))
		return in, []View{normal(r, d, in[0].Shape...), normal(r, d, in[1].Shape...), normal(r, d, in[2].Shape...)}
	}
}

// attentionCases meet every way through the kernels: blocks not filled; padding before, between and behind;
// groups; head sizes off the vector width; more than one block of keys; and a segment too long to be taken whole.
var attentionCases = []struct {
	heads, kv, dh, window int
	softCap               float64
	lengths               []int
}{
	{heads: 1, kv: 1, dh: 4, lengths: []int{3}},
	{heads: 2, kv: 1, dh: 16, lengths: []int{5, -3, 17, 1, -2}},
	{heads: 9, kv: 3, dh: 64, lengths: []int{50, 70, 131, -5}},
	{heads: 4, kv: 4, dh: 20, lengths: []int{-1, 66}},
	{heads: 3, kv: 1, dh: 8, window: 2, lengths: []int{70}},
	{heads: 2, kv: 2, dh: 24, window: 9, lengths: []int{30, 150}},
	{heads: 7, kv: 1, dh: 33, window: 100, softCap: 1.5, lengths: []int{129, 40}},
	{heads: 1, kv: 1, dh: 16, softCap: 30, lengths: []int{600}},
	{heads: 2, kv: 1, dh: 16, window: 70, lengths: []int{20, 580}},
	{heads: 2, kv: 2, dh: 8, lengths: []int{-7}},
}

func TestAttention(t *testing.T) {
	for _, c := range attentionCases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			k := kernels.Attention{Scale: 0.3, Window: c.window, SoftCap: c.softCap}
			conform(t, k, attentionOperands(c.heads, c.kv, c.dh, c.lengths...))
		})
	}
	in, out := attentionOperands(4, 3, 8, 5).fresh(kernels.Float32)
	refuses(t, kernels.Attention{Scale: 1}, in, out, "4 query heads over 3")
}

func TestAttentionBwd(t *testing.T) {
	for _, c := range attentionCases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			k := kernels.Attention{Scale: 0.3, Window: c.window, SoftCap: c.softCap}
			conform(t, kernels.AttentionBwd(k), attentionBwdOperands(k, c.heads, c.kv, c.dh, c.lengths...))
		})
	}
}

// Scores of a few hundred must not overflow, and the largest may come last, when what was summed before counts for nothing.
func TestAttentionOfLargeScores(t *testing.T) {
	engines(t, func(t *testing.T, e *Engine) {
		k := kernels.Attention{Scale: 40}
		in, out := attentionOperands(2, 1, 16, 200).fresh(kernels.Float32)
		want := oracle(k, in, out)
		runKernel(t, e, k, in, out)
		near(t, "o", out[0], want[0], 1e-4) // a score of 500 is good to 3e-5 in float32
		near(t, "lse", out[1], want[1], 1e-6)
	})
}

// A segment's results are those of the segment alone, bit for bit, wherever it lies in the row.
func TestAttentionPackedIsAlone(t *testing.T) {
	engines(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(3, 4))
		in, out := attentionOperands(6, 2, 32, 37, 150, 80)(r, kernels.Float32)
		k := kernels.Attention{Scale: 0.2}
		runKernel(t, e, k, in, out)
		part := func(v View) View {
			row := len(v.Data) / v.Shape[0]
			return View{Data: v.Data[37*row : 187*row], Dtype: v.Dtype, Shape: append([]int{150}, v.Shape[1:]...)}
		}
		alone := []View{newView(kernels.Float32, 150, 6, 32), newView(kernels.Float32, 150, 6)}
		runKernel(t, e, k, []View{part(in[0]), part(in[1]), part(in[2]), part(in[3])}, alone)
		sameBytes(t, "alone", alone, []View{part(out[0]), part(out[1])})
	})
}

// The shape of SmolLM2-135M with a packed row of 2048 tokens.
var benchmarkLengths = []int{120, 60, 300, 90, 210, 75, 180, 140, 95, 55, 260, 130, 88, 105, 140}

func BenchmarkAttention(b *testing.B) {
	benchmark(b, kernels.Attention{Scale: 0.125}, attentionOperands(9, 3, 64, benchmarkLengths...))
}

func BenchmarkAttentionBwd(b *testing.B) {
	k := kernels.Attention{Scale: 0.125}
	benchmark(b, kernels.AttentionBwd(k), attentionBwdOperands(k, 9, 3, 64, benchmarkLengths...))
}

func BenchmarkAttentionLong(b *testing.B) {
	benchmark(b, kernels.Attention{Scale: 0.125}, attentionOperands(9, 3, 64, 2048))
}

func BenchmarkAttentionBwdLong(b *testing.B) {
	benchmark(b, kernels.AttentionBwd{Scale: 0.125}, func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		in, out = attentionOperands(9, 3, 64, 2048)(r, d)
		in = append(in, out[0], out[1], normal(r, d, in[0].Shape...))
		return in, []View{newView(d, in[0].Shape...), newView(d, in[1].Shape...), newView(d, in[2].Shape...)}
	})
}
