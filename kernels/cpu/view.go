package cpu

import (
	"fmt"
	"unsafe"

	"attune/kernels"
)

// wanted reports whether the view is there to be read or written.
func (v View) wanted() bool { return v.Data != nil }

// elems is the number of elements.
func (v View) elems() int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}

// cols is the last dimension and rows the product of the others; a scalar is one row of one.
func (v View) cols() int {
	if len(v.Shape) == 0 {
		return 1
	}
	return v.Shape[len(v.Shape)-1]
}

func (v View) rows() int {
	if c := v.cols(); c > 0 {
		return v.elems() / c
	}
	return 0
}

// ptr is the address of the first element, nil if there is none.
func (v View) ptr() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(v.Data)) }

// f32 and i32 are the data as numbers; the view must have that dtype.
func (v View) f32() []float32 {
	return unsafe.Slice((*float32)(v.ptr()), len(v.Data)/4)
}

func (v View) i32() []int32 {
	return unsafe.Slice((*int32)(v.ptr()), len(v.Data)/4)
}

func (v View) u16() []uint16 {
	return unsafe.Slice((*uint16)(v.ptr()), len(v.Data)/2)
}

// check is what every operand must satisfy: a known dtype, no negative dimension, as many bytes as elements take, and
// an address that suits the dtype.
func (v View) check() error {
	if v.Data == nil {
		return nil
	}
	if v.Dtype < kernels.Float32 || v.Dtype > kernels.Int32 {
		return fmt.Errorf("no such dtype: %d", v.Dtype)
	}
	n := v.Dtype.Size()
	for _, d := range v.Shape {
		if d < 0 {
			return fmt.Errorf("negative dimension in %v", v.Shape)
		}
		n *= int64(d)
	}
	if int64(len(v.Data)) != n {
		return fmt.Errorf("%d bytes for %s%v, needs %d", len(v.Data), v.Dtype, v.Shape, n)
	}
	if uintptr(v.ptr())%uintptr(v.Dtype.Size()) != 0 {
		return fmt.Errorf("%s%v at an address that is not a multiple of %d", v.Dtype, v.Shape, v.Dtype.Size())
	}
	return nil
}

// carve cuts the next bytes off scratch, aligned to a cache line. Each call takes at most scratchSize(bytes), so the sum
// of those is enough for a row of calls.
func carve(scratch *[]byte, bytes int64) []byte {
	s := *scratch
	pad := int64(-uintptr(unsafe.Pointer(unsafe.SliceData(s))) & 63)
	*scratch = s[pad+bytes:]
	return s[pad : pad+bytes : pad+bytes]
}

func scratchSize(bytes int64) int64 { return bytes + 64 }

// bf16ToF32 widens exactly; f32ToBF16 rounds to nearest even and keeps NaN.
func bf16ToF32(h uint16) float32 { return f32frombits(uint32(h) << 16) }

func f32ToBF16(f float32) uint16 {
	u := f32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

func f32bits(f float32) uint32     { return *(*uint32)(unsafe.Pointer(&f)) }
func f32frombits(u uint32) float32 { return *(*float32)(unsafe.Pointer(&u)) }
