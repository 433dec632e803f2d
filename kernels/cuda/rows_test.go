package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// One head and many, heads of odd halves and as large as there are, several tokens a block, positions of a book's length.
func TestRoPEHeads(t *testing.T) {
	for _, size := range [][3]int{{1, 1, 2}, {37, 1, 128}, {50, 3, 6}, {70, 2, 10}, {19, 40, 64}, {5, 9, 256}} {
		tokens, heads, dh := size[0], size[1], size[2]
		for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
			for _, inverse := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/%v/%v", size, d, inverse), func(t *testing.T) {
					k := kernels.RoPE{Scale: 1.25, Inverse: inverse}
					for i := range dh / 2 {
						k.InvFreq = append(k.InvFreq, math.Pow(1e6, -2*float64(i)/float64(dh)))
					}
					orders(t, cuda.Target{CC: 80}, k, d, func() *operands {
						o := &operands{r: rand.New(rand.NewPCG(1, 2))}
						o.floats(d, 1, tokens, heads, dh)
						positions := make([]int32, tokens)
						for i := range positions {
							positions[i] = int32(o.r.IntN(1 << (4 + i%17)))
						}
						o.ints(positions...)
						o.out = []optest.View{emptyView(d, []int{tokens, heads, dh})}
						return o
					})
				})
			}
		}
	}
	wide := cuda.View{Dtype: kernels.Float32, Shape: []int{1, 1, 258}}
	_, err := cuda.Plan(cuda.Target{CC: 80}, kernels.RoPE{InvFreq: make([]float64, 129)},
		[]cuda.View{wide, {Dtype: kernels.Int32, Shape: []int{1}}}, []cuda.View{wide}, cuda.View{})
	if err == nil || !strings.Contains(err.Error(), "heads of 258; at most 256 here") {
		t.Errorf("a head of 258: %v", err)
	}
}

// A token many times, far apart, in rows wider than a block.
func TestEmbedBwdRepeats(t *testing.T) {
	for _, size := range [][2]int{{700, 5}, {300, 2056}, {1, 3}, {257, 2049}} {
		tokens, d := size[0], size[1]
		for _, dtype := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
			t.Run(fmt.Sprint(size, dtype), func(t *testing.T) {
				orders(t, cuda.Target{CC: 80}, kernels.EmbedBwd{}, dtype, func() *operands {
					o := &operands{r: rand.New(rand.NewPCG(1, 2))}
					ids := make([]int32, tokens)
					for i := range ids {
						ids[i] = int32(o.r.IntN(1 + i%6))
					}
					o.ints(ids...)
					o.floats(dtype, 1, tokens, d)
					o.out = []optest.View{emptyView(kernels.Float32, []int{9, d})}
					return o
				})
			})
		}
	}
}

// An id that is not in the table gives NaN, and nothing is read or written out of bounds.
func TestRowsOutOfBounds(t *testing.T) {
	e := emutest.Open(t, cuda.Target{CC: 80}, emutest.Options{})
	for _, dtype := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		o := &operands{r: rand.New(rand.NewPCG(1, 2))}
		o.floats(dtype, 1, 4, 4101)
		o.ints(3, -1, 4, 0, math.MaxInt32, math.MinInt32)
		y := emptyView(dtype, []int{6, 4101})
		if err := e.Run(kernels.Embed{}, o.in, []optest.View{y}); err != nil {
			t.Fatal(err)
		}
		for i, x := range viewFloats(y) {
			if row := i / 4101; math.IsNaN(x) != (row != 0 && row != 3) {
				t.Fatalf("%v: element %d of row %d is %g", dtype, i%4101, row, x)
			}
		}
		dw := emptyView(kernels.Float32, []int{4, 4101})
		o.floats(dtype, 1, 6, 4101)
		if err := e.Run(kernels.EmbedBwd{}, o.in[1:], []optest.View{dw}); err != nil {
			t.Fatal(err)
		}
	}
}
