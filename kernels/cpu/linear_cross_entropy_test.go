package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

func crossEntropyOperands(rows, dim, vocab int) operandsOf {
	return func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
		targets, weights := make([]int32, rows), newView(kernels.Float32, rows)
		for t := range rows {
			targets[t] = int32(r.IntN(vocab))
			if r.IntN(3) == 0 {
				targets[t] = -100 // not computed, so nobody looks
			} else {
				set(weights, t, 0.1+r.Float64())
			}
		}
		// Logits of variance 4, as of a model that has learnt something.
		weight := normal(r, d, vocab, dim)
		for i := range weight.elems() {
			set(weight, i, get(weight, i)*2/float64(dim))
		}
		hidden := normal(r, d, rows, dim)
		for i := range hidden.elems() {
			set(hidden, i, get(hidden, i)*2)
		}
		return []View{hidden, weight, ints(targets, rows), weights},
			[]View{newView(kernels.Float32), newView(d, rows, dim), newView(kernels.Float32, vocab, dim), newView(kernels.Float32, rows)}
	}
}

func TestLinearCrossEntropy(t *testing.T) {
	for _, size := range [][3]int{{1, 1, 2}, {5, 3, 33}, {17, 33, 513}, {65, 64, 1025}, {129, 17, 4200}} {
		for _, k := range []kernels.LinearCrossEntropy{{}, {SoftCap: 3}} {
			t.Run(fmt.Sprint(size, k), func(t *testing.T) { conform(t, k, crossEntropyOperands(size[0], size[1], size[2])) })
		}
	}
}

// More trained tokens than one chunk holds.
func TestLinearCrossEntropyChunks(t *testing.T) {
	conform(t, kernels.LinearCrossEntropy{}, crossEntropyOperands(1700, 5, 40))
}

// What dweight is made from in place must not change the others (conform leaves one output out; this leaves all but one).
func TestLinearCrossEntropyEachAlone(t *testing.T) {
	k := kernels.LinearCrossEntropy{SoftCap: 5}
	f := crossEntropyOperands(40, 19, 700)
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		e := newEngine(t, "", 2)
		in, all := f.fresh(d)
		runKernel(t, e, k, in, all)
		for only := range all {
			in, some := f.fresh(d)
			for i := range some {
				if i != only {
					some[i] = View{}
				}
			}
			runKernel(t, e, k, in, some)
			sameBytes(t, fmt.Sprintf("output %d alone", only), some, all)
		}
	}
}

func TestLinearCrossEntropyNothingTrained(t *testing.T) {
	k := kernels.LinearCrossEntropy{}
	in, out := crossEntropyOperands(7, 5, 9).fresh(kernels.Float32)
	clear(in[3].Data)
	for _, v := range out {
		for i := range v.Data {
			v.Data[i] = 0xff
		}
	}
	engines(t, func(t *testing.T, e *Engine) {
		runKernel(t, e, k, in, out)
		for i, v := range out {
			for j := range v.elems() {
				if get(v, j) != 0 {
					t.Fatalf("output %d is %g at %d, want 0", i, get(v, j), j)
				}
			}
		}
	})
}

func TestLinearCrossEntropyRefuses(t *testing.T) {
	k := kernels.LinearCrossEntropy{}
	in, out := crossEntropyOperands(7, 5, 9).fresh(kernels.Float32)
	set(in[3], 2, 1)
	in[2].i32()[2] = 9
	refuses(t, k, in, out, "target of token 2 is 9, must be in [0, 9)")
	in, out = crossEntropyOperands(7, 5, 9).fresh(kernels.Float32)
	out[2] = newView(kernels.BFloat16, 9, 5)
	refuses(t, k, in, out, "float32")
}

// The head of SmolLM2-135M on 2048 tokens of which all are trained. GFLOP/s counts logits and dhidden.
func BenchmarkLinearCrossEntropy(b *testing.B) {
	const rows, dim, vocab = 2048, 576, 49152
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", d, threads), func(b *testing.B) {
				benchFLOP(b, threads, kernels.LinearCrossEntropy{}, func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
					in, out = crossEntropyOperands(rows, dim, vocab)(r, d)
					for t := range rows {
						set(in[3], t, 1)
						in[2].i32()[t] = int32(t)
					}
					out[2] = View{}
					return in, out
				}, d, 4*float64(rows)*dim*vocab)
			})
		}
	}
}
