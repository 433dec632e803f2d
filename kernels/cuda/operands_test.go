package cuda_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// operands are random inputs and wanted outputs of a kernel, as they are stored and as the reference takes them.
type operands struct {
	r       *rand.Rand
	in, out []optest.View
	ref     []*kernels.Tensor[float64]
}

// floats adds an input of numbers between -scale and scale.
func (o *operands) floats(d kernels.Dtype, scale float64, shape ...int) {
	v, ref := emptyView(d, shape), &kernels.Tensor[float64]{Shape: shape}
	for i := range len(v.Data) / int(d.Size()) {
		x := float32(scale * (2*o.r.Float64() - 1))
		if d == kernels.BFloat16 {
			bits := kernels.BFloat16Bits(x)
			binary.LittleEndian.PutUint16(v.Data[2*i:], bits)
			x = kernels.BFloat16Float(bits)
		} else {
			binary.LittleEndian.PutUint32(v.Data[4*i:], math.Float32bits(x))
		}
		ref.F = append(ref.F, float64(x))
	}
	o.in, o.ref = append(o.in, v), append(o.ref, ref)
}

// ints adds an int32 input.
func (o *operands) ints(values ...int32) {
	v := emptyView(kernels.Int32, []int{len(values)})
	for i, x := range values {
		binary.LittleEndian.PutUint32(v.Data[4*i:], uint32(x))
	}
	o.in, o.ref = append(o.in, v), append(o.ref, &kernels.Tensor[float64]{Shape: v.Shape, I: values})
}

// random are n keys of tokens.
func random(r *rand.Rand, n int) []int32 {
	keys := make([]int32, n)
	for i := range keys {
		keys[i] = r.Int32()
	}
	return keys
}

func emptyView(d kernels.Dtype, shape []int) optest.View {
	n := int(d.Size())
	for _, s := range shape {
		n *= s
	}
	return optest.View{Data: make([]byte, n), Dtype: d, Shape: shape}
}

func viewFloats(v optest.View) []float64 {
	out := make([]float64, len(v.Data)/int(v.Dtype.Size()))
	for i := range out {
		if v.Dtype == kernels.BFloat16 {
			out[i] = float64(kernels.BFloat16Float(binary.LittleEndian.Uint16(v.Data[2*i:])))
		} else {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(v.Data[4*i:])))
		}
	}
	return out
}

// compare holds the outputs to the reference, by kernels.Tol's rule.
func (o *operands) compare(t *testing.T, k kernels.Kernel, d kernels.Dtype) {
	t.Helper()
	want := make([]*kernels.Tensor[float64], len(o.out))
	for i, v := range o.out {
		if v.Data != nil {
			want[i] = &kernels.Tensor[float64]{Shape: v.Shape, F: make([]float64, len(v.Data)/int(v.Dtype.Size()))}
		}
	}
	k.Float64(o.ref, want)
	tol := k.Tol().Of(d)
	for i, v := range o.out {
		if v.Data == nil {
			continue
		}
		var sum float64
		for _, w := range want[i].F {
			sum += w * w
		}
		size := math.Sqrt(sum / float64(len(want[i].F)))
		for j, x := range viewFloats(v) {
			if w := want[i].F[j]; !(math.Abs(x-w) <= tol*(math.Abs(w)+size)) {
				t.Errorf("output %d%v: element %d is %g, the reference %g", i, v.Shape, j, x, w)
				break
			}
		}
	}
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
