package cuda_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// Every output that engine/exec puts into the memory of an input (its overwrites) has the bits it has elsewhere, in any order
// of blocks, warps and lanes.
func TestInPlace(t *testing.T) {
	rope := kernels.RoPE{InvFreq: []float64{1, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7}, Scale: 1}
	odd := kernels.RoPE{InvFreq: rope.InvFreq[:5], Scale: 1}
	for _, c := range []struct {
		k      kernels.Kernel
		floats int   // inputs like x
		in     []int // of each output: the input it lies in
		shape  []int
	}{
		{kernels.Add{}, 2, []int{0}, []int{5003}}, {kernels.Add{}, 2, []int{1}, []int{5003}},
		{kernels.ScaleBy{}, 1, []int{0}, []int{5003}},
		{rope, 1, []int{0}, []int{33, 3, 16}}, {odd, 1, []int{0}, []int{33, 3, 10}},
		{kernels.SwiGLU{Act: "silu"}, 2, []int{0}, []int{5003}}, {kernels.SwiGLU{Act: "gelu"}, 2, []int{1}, []int{5003}},
		{kernels.SwiGLUBwd{Act: "gelu_tanh"}, 3, []int{0, 1}, []int{5003}},
	} {
		for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
			t.Run(fmt.Sprintf("%s/%v/%v", c.k.Name(), c.in, d), func(t *testing.T) {
				e := emutest.Open(t, cuda.Target{CC: 80}, emutest.Options{Seed: 7})
				run := func(inPlace bool) (out []optest.View) {
					o := &operands{r: rand.New(rand.NewPCG(1, 2))}
					for range c.floats {
						o.floats(d, 2, c.shape...)
					}
					switch c.k.(type) {
					case kernels.ScaleBy:
						o.floats(kernels.Float32, 1)
					case kernels.RoPE:
						o.ints(slices.Repeat([]int32{7, 0, 100}, 11)...)
					}
					for _, i := range c.in {
						v := emptyView(d, c.shape)
						if inPlace {
							v = o.in[i]
						}
						out = append(out, v)
					}
					if err := e.Run(c.k, o.in, out); err != nil {
						t.Fatal(err)
					}
					return out
				}
				apart, within := run(false), run(true)
				for i := range apart {
					if !bytes.Equal(apart[i].Data, within[i].Data) {
						t.Errorf("output %d in input %d has other bits", i, c.in[i])
					}
				}
			})
		}
	}
}
