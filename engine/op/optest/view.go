package optest

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"attune/kernels"
)

// newView is a zeroed operand, aligned for every dtype.
func newView(d kernels.Dtype, shape []int) View {
	n := int(d.Size())
	for _, s := range shape {
		n *= s
	}
	words := make([]uint64, n/8+1)
	return View{Data: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words))[:n:n], Dtype: d, Shape: shape}
}

// storeFloats is an operand of the values rounded to d.
func storeFloats(d kernels.Dtype, shape []int, values []float64) View {
	v := newView(d, shape)
	for i, x := range values {
		v.set(i, x)
	}
	return v
}

func storeInts(values []int32) View {
	v := newView(kernels.Int32, []int{len(values)})
	for i, x := range values {
		binary.LittleEndian.PutUint32(v.Data[4*i:], uint32(x))
	}
	return v
}

func (v View) clone() View {
	c := newView(v.Dtype, slices.Clone(v.Shape))
	copy(c.Data, v.Data)
	return c
}

func (v View) set(i int, x float64) {
	if v.Dtype == kernels.BFloat16 {
		binary.LittleEndian.PutUint16(v.Data[2*i:], kernels.BFloat16Bits(float32(x)))
		return
	}
	binary.LittleEndian.PutUint32(v.Data[4*i:], math.Float32bits(float32(x)))
}

// setRows sets every element of the rows (first dimension) that pad names.
func (v View) setRows(pad func(row int) bool, x float64) {
	n := len(v.Data) / int(v.Dtype.Size()) / v.Shape[0]
	for r := range v.Shape[0] {
		for i := r * n; pad(r) && i < (r+1)*n; i++ {
			v.set(i, x)
		}
	}
}

func (v View) floats() []float64 {
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

// tensor is the operand as the float64 reference takes it.
func (v View) tensor() *kernels.Tensor[float64] {
	t := &kernels.Tensor[float64]{Shape: v.Shape}
	if v.Dtype != kernels.Int32 {
		t.F = v.floats()
		return t
	}
	t.I = make([]int32, len(v.Data)/4)
	for i := range t.I {
		t.I[i] = int32(binary.LittleEndian.Uint32(v.Data[4*i:]))
	}
	return t
}
