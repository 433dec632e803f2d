package model

import (
	"fmt"
	"math"
	"unsafe"

	"attune/kernels"
)

// Weight is one tensor of a model as it is stored, row-major, little-endian.
type Weight struct {
	Name  string
	Dtype kernels.Dtype
	Shape []int
	Data  []byte // aligned to its elements; a view of the mapped file where it came from a Checkpoint
}

// Elements is the number of elements.
func (w Weight) Elements() int { return elements(w.Shape) }

// As is the weight's bytes in dtype to: Data itself where it has that dtype already, otherwise a converted copy.
func (w Weight) As(to kernels.Dtype) ([]byte, error) {
	if w.Dtype == to {
		return w.Data, nil
	}
	dst := make([]byte, int64(w.Elements())*to.Size())
	return dst, w.Convert(to, dst)
}

// Convert writes the weight into dst in dtype to, rounding to nearest even; dst must have exactly the bytes needed.
// Dtypes are float32, bfloat16 and float16.
func (w Weight) Convert(to kernels.Dtype, dst []byte) error {
	n := w.Elements()
	if int64(len(w.Data)) != int64(n)*w.Dtype.Size() || int64(len(dst)) != int64(n)*to.Size() {
		return fmt.Errorf("convert %s: %d bytes of %s to %d bytes of %s, but shape %v has %d elements",
			w.Name, len(w.Data), w.Dtype, len(dst), to, w.Shape, n)
	}
	if w.Dtype == to {
		copy(dst, w.Data)
		return nil
	}
	f32, bf16, f16 := kernels.Float32, kernels.BFloat16, kernels.Float16
	switch [2]kernels.Dtype{w.Dtype, to} {
	case [2]kernels.Dtype{bf16, f32}:
		to := view[uint32](dst)[:n] // the two dtypes of most models have loops of their own, without a call an element
		for i, h := range view[uint16](w.Data) {
			to[i] = uint32(h) << 16
		}
	case [2]kernels.Dtype{f16, f32}:
		convert(view[uint16](w.Data), view[uint32](dst), halfToFloat)
	case [2]kernels.Dtype{f32, bf16}:
		to := view[uint16](dst)[:n]
		for i, u := range view[uint32](w.Data) {
			to[i] = floatToBF16(u)
		}
	case [2]kernels.Dtype{f16, bf16}:
		convert(view[uint16](w.Data), view[uint16](dst), func(h uint16) uint16 { return floatToBF16(halfToFloat(h)) })
	case [2]kernels.Dtype{f32, f16}:
		convert(view[uint32](w.Data), view[uint16](dst), floatToHalf)
	case [2]kernels.Dtype{bf16, f16}:
		convert(view[uint16](w.Data), view[uint16](dst), func(h uint16) uint16 { return floatToHalf(uint32(h) << 16) })
	default:
		return fmt.Errorf("convert %s: %s to %s is %w", w.Name, w.Dtype, to, ErrUnsupported)
	}
	return nil
}

func convert[A, B uint16 | uint32](src []A, dst []B, f func(A) B) {
	for i, x := range src {
		dst[i] = f(x)
	}
}

// view sees bytes as numbers of the machine's order; attune runs on little-endian machines only, as the format is.
func view[T uint16 | uint32](b []byte) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
}

// Aligned is the weight with Data beginning at a multiple of its element's size: w itself, or a copy where a file's
// header put its bytes elsewhere.
func (w Weight) Aligned() Weight {
	if uintptr(unsafe.Pointer(unsafe.SliceData(w.Data)))%uintptr(w.Dtype.Size()) != 0 {
		w.Data = append(make([]byte, 0, len(w.Data)), w.Data...)
	}
	return w
}

// floatToBF16 rounds to nearest even and keeps a NaN a NaN.
func floatToBF16(u uint32) uint16 {
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// halfToFloat is exact.
func halfToFloat(h uint16) uint32 {
	sign, exp, man := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0: // zero or subnormal: man · 2^-24
		return sign | math.Float32bits(float32(man)*0x1p-24)
	case 31:
		return sign | 0x7f800000 | man<<13
	}
	return sign | (exp+112)<<23 | man<<13
}

// floatToHalf rounds to nearest even; what is too large becomes infinite.
func floatToHalf(u uint32) uint16 {
	sign, u := uint16(u>>16&0x8000), u&0x7fffffff
	switch {
	case u > 0x7f800000: // NaN
		return sign | 0x7e00
	case u >= 0x477ff000: // 65520 and above round to infinity
		return sign | 0x7c00
	case u < 0x38800000: // below 2^-14: in units of 2^-24, which adding 0.5 leaves in the low bits, rounded
		return sign | uint16(math.Float32bits(math.Float32frombits(u)+0.5)-math.Float32bits(0.5))
	}
	return sign | uint16((u-0x38000000+0xfff+u>>13&1)>>13)
}

func elements(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}
