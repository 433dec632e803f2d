package cuda_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
)

// Each way of sharing a row among threads, at its ends; more rows than one piece of dweight, and than one piece of pieces.
func TestRMSNormRows(t *testing.T) {
	for _, size := range [][2]int{
		{9, 1}, {40, 7}, {40, 64}, {9, 65}, {70, 128}, {9, 256}, {9, 257}, {35, 1024}, {3, 1025}, {3, 4096}, {3, 4097}, {2, 8192}, {2, 8193},
		{2, 20008}, {4200, 2},
	} {
		rows, d := size[0], size[1]
		for _, store := range [][2]kernels.Dtype{{kernels.Float32, kernels.Float32}, {kernels.BFloat16, kernels.BFloat16}, {kernels.BFloat16, kernels.Float32}} {
			t.Run(fmt.Sprintf("%dx%d/%v-%v", rows, d, store[0], store[1]), func(t *testing.T) {
				k := kernels.RMSNorm{Eps: 1e-6}
				f := orders(t, cuda.Target{CC: 80}, k, store[0], func() *operands {
					o := &operands{r: rand.New(rand.NewPCG(1, 2))}
					o.floats(store[0], 3, rows, d)
					o.floats(store[1], 1, d)
					o.out = []optest.View{emptyView(store[0], []int{rows, d}), emptyView(kernels.Float32, []int{rows})}
					return o
				})
				if d == 1 {
					return // dx is nothing but what cancels
				}
				rstd := f.out[1]
				orders(t, cuda.Target{CC: 80}, kernels.RMSNormBwd{}, store[0], func() *operands {
					o := &operands{r: rand.New(rand.NewPCG(1, 2))}
					o.floats(store[0], 3, rows, d)
					o.floats(store[1], 1, d)
					o.in, o.ref = append(o.in, rstd), append(o.ref, &kernels.Tensor[float64]{Shape: rstd.Shape, F: viewFloats(rstd)})
					o.floats(store[0], 1, rows, d)
					o.out = []optest.View{emptyView(store[0], []int{rows, d}), emptyView(kernels.Float32, []int{d})}
					return o
				})
			})
		}
	}
}
