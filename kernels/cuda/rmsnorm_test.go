package cuda_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// ints adds an int32 input.
func (o *operands) ints(values ...int32) {
	v := emptyView(kernels.Int32, []int{len(values)})
	for i, x := range values {
		binary.LittleEndian.PutUint32(v.Data[4*i:], uint32(x))
	}
	o.in, o.ref = append(o.in, v), append(o.ref, &kernels.Tensor[float64]{Shape: v.Shape, I: values})
}

// orders runs k on what fresh makes in two orders of the emulator, with each output left out in turn: the same bits. It
// returns the operands of the first run, held to the reference.
func orders(t *testing.T, target cuda.Target, k kernels.Kernel, d kernels.Dtype, fresh func() *operands) *operands {
	t.Helper()
	full := fresh()
	if err := emutest.Open(t, target, emutest.Options{}).Run(k, full.in, full.out); err != nil {
		t.Fatal(err)
	}
	full.compare(t, k, d)
	late := emutest.Open(t, target, emutest.Options{Seed: 3, Async: true})
	for skip := range len(full.out) + 1 {
		o := fresh()
		if skip < len(o.out) {
			if o.out[skip].Data == nil || len(o.out) == 1 {
				continue
			}
			o.out[skip] = optest.View{}
		}
		if err := late.Run(k, o.in, o.out); err != nil {
			t.Fatal(err)
		}
		for i, v := range o.out {
			if v.Data != nil && !bytes.Equal(v.Data, full.out[i].Data) {
				t.Errorf("without output %d, in another order: output %d has other bits", skip, i)
			}
		}
	}
	return full
}

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
