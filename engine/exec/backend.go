package exec

import (
	"fmt"

	"attune/kernels"
)

// Type is how one value lies in memory: dense, row-major. The zero Type stands for an output nobody wants.
type Type struct {
	Dtype kernels.Dtype
	Shape []int
}

// Elems is the number of elements; a scalar (empty shape) has one.
func (t Type) Elems() int64 {
	n := int64(1)
	for _, s := range t.Shape {
		n *= int64(s)
	}
	return n
}

// Bytes is the size in memory; an unwanted output has none.
func (t Type) Bytes() int64 {
	if t.Dtype == 0 {
		return 0
	}
	return t.Elems() * t.Dtype.Size()
}

// String is the dtype and the shape: bfloat16[512 576].
func (t Type) String() string {
	if t.Dtype == 0 {
		return "unwanted"
	}
	return fmt.Sprintf("%v%v", t.Dtype, t.Shape)
}

// Buffer is memory of one backend. Only its backend looks inside.
type Buffer interface {
	// Bytes is the size.
	Bytes() int64
	// Free gives the memory back, behind every launch before it; the buffer must not be used any more.
	Free() error
}

// Operand is one input or output of a launch: a value at a byte offset of a buffer. The zero Operand (Buf nil) is an
// output nobody wants.
type Operand struct {
	Buf   Buffer
	Off   int64 // bytes
	Dtype kernels.Dtype
	Shape []int
}

// Type is the operand's type; the zero Type if it is unwanted.
func (o Operand) Type() Type { return Type{Dtype: o.Dtype, Shape: o.Shape} }

// Bytes is the operand's size in memory.
func (o Operand) Bytes() int64 { return o.Type().Bytes() }

// Region is a run of bytes of a buffer.
type Region struct {
	Buf Buffer
	Off int64
	Len int64
}

// Launch is one kernel with everything it reads and writes. In and Out are in the order the kernel documents. An
// output may share its memory with an input where the table of inplace.go allows it, or the kernel is defined so.
type Launch struct {
	Kernel  kernels.Kernel
	In, Out []Operand
	Scratch Region
}

// Backend is a device: memory, and kernels run by name. A backend is used by one goroutine at a time; Upload alone may be
// called by several, to different buffers. It may also be a Recorder and a Batcher.
type Backend interface {
	// Name is "cpu" or "cuda", with what was chosen of it: "cpu avx512bf16".
	Name() string
	// Alloc gives zeroed memory, its start aligned for every kernel (64 bytes at least).
	Alloc(bytes int64) (Buffer, error)
	// Upload copies src to byte off of dst: behind every launch before it, and before every one after it. src is the
	// caller's again on return.
	// Download copies len(dst) bytes from byte off of src: behind every launch before it, for which it waits. It is
	// complete on return.
	Upload(dst Buffer, off int64, src []byte) error
	Download(dst []byte, src Buffer, off int64) error
	// Scratch is the working memory in bytes that a launch of k needs; unwanted outputs are zero Types.
	Scratch(k kernels.Kernel, in, out []Type) int64
	// Launch runs a kernel, or queues it: launches take effect in order.
	Launch(Launch) error
	// Sync waits for all launches and gives their errors. So does Download.
	Sync() error
	// MemoryFree is how many bytes Alloc can still be asked for.
	MemoryFree() (int64, error)
	// Close frees what the backend itself holds; buffers must be freed before.
	Close() error
}

// Upload copies src into o, which it must fill exactly.
func Upload(b Backend, o Operand, src []byte) error {
	if int64(len(src)) != o.Bytes() {
		return fmt.Errorf("upload %d bytes into %v of %d", len(src), o.Type(), o.Bytes())
	}
	return b.Upload(o.Buf, o.Off, src)
}

// Download gives a copy of the bytes of o.
func Download(b Backend, o Operand) ([]byte, error) {
	dst := make([]byte, o.Bytes())
	if err := b.Download(dst, o.Buf, o.Off); err != nil {
		return nil, err
	}
	return dst, nil
}
