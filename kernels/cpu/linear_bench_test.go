package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"attune/kernels"
)

// The projections of SmolLM2-135M on 2048 tokens, forward and dx, without and with LoRA. GFLOP/s counts the products with
// the weight only, so that what LoRA costs shows as a lower figure.
func BenchmarkLinear(b *testing.B) {
	const rows = 2048
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		for _, threads := range []int{1, 2} {
			for _, size := range [][2]int{{576, 576}, {192, 576}, {1536, 576}, {576, 1536}} {
				o, i := size[0], size[1]
				flop := 2 * rows * float64(o) * float64(i)
				for _, rank := range []int{0, 16} {
					name := fmt.Sprintf("%s/threads=%d/%dx%d/rank=%d/", d, threads, o, i, rank)
					fwd := kernels.Linear{Rank: rank, Scale: 2}
					b.Run(name+"forward", func(b *testing.B) { benchFLOP(b, threads, fwd, linearOperands(fwd, rows, i, o), d, flop) })
					bwd := kernels.LinearBwd{Rank: rank, Scale: 2}
					b.Run(name+"backward", func(b *testing.B) {
						benchFLOP(b, threads, bwd, func(r *rand.Rand, d kernels.Dtype) (in, out []View) {
							in, out = linearBwdOperands(bwd, rows, i, o)(r, d)
							out[1], out[2] = View{}, View{} // the weight is frozen
							return in, out
						}, d, flop)
					})
				}
			}
		}
	}
}

func benchFLOP(b *testing.B, threads int, k kernels.Kernel, f operandsOf, d kernels.Dtype, flop float64) {
	e, err := New(Options{Threads: threads})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	in, out := f.fresh(d)
	scratch := make([]byte, e.Scratch(k, in, out))
	for b.Loop() {
		if err := e.Run(k, in, out, scratch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
