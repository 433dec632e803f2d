// Package cpu is the executor's backend on the processor: memory in anonymous mappings, kernels by kernels/cpu.
//
// Memory is page aligned and asked for in huge pages, since the first touch of a page is what an arena costs most.
// Weights that are mapped from a file are wrapped where they lie and never copied.
package cpu

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"attune/engine/exec"
	"attune/kernels"
	"attune/kernels/cpu"
)

// Backend implements exec.Backend. Launches run at once, on all of the engine's threads.
type Backend struct {
	engine *cpu.Engine
}

// New starts the kernels' engine; see cpu.Options for threads and instruction set.
func New(o cpu.Options) (*Backend, error) {
	e, err := cpu.New(o)
	if err != nil {
		return nil, err
	}
	return &Backend{engine: e}, nil
}

// buffer is memory of the process. Frozen memory belongs to somebody else and is never written.
type buffer struct {
	data   []byte
	free   func([]byte) error // nil for frozen memory
	frozen bool
}

// Bytes implements exec.Buffer.
func (b *buffer) Bytes() int64 { return int64(len(b.data)) }

// Free implements exec.Buffer.
func (b *buffer) Free() error {
	data := b.data
	b.data = nil
	if data == nil || b.free == nil {
		return nil
	}
	return b.free(data)
}

// Wrap makes data a buffer without copying it: a tensor in a mapped file. It is read only: uploads to it and kernels
// that would write it are refused. data must stay as it is until the buffer is no longer used. Only where its address
// does not suit d (a file that aligns its tensors badly) the buffer is a copy.
func Wrap(data []byte, d kernels.Dtype) exec.Buffer {
	if uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(d.Size()) != 0 {
		data = bytes.Clone(data) // the allocator aligns more than any dtype asks
	}
	return &buffer{data: data, frozen: true}
}

// Bytes is the memory of an operand on this backend, not copied: batches are written and losses read through it.
// It is nil for operands of other backends or outside of their buffer.
func Bytes(o exec.Operand) []byte {
	data, _, err := part(o.Buf, o.Off, o.Bytes())
	if err != nil {
		return nil
	}
	return data
}

// Name implements exec.Backend.
func (b *Backend) Name() string { return "cpu " + b.engine.ISA() }

// Threads is how many threads kernels run on.
func (b *Backend) Threads() int { return b.engine.Threads() }

// Resident is what the engine itself holds, in bytes, beside all buffers.
func (b *Backend) Resident() int64 { return b.engine.Resident() }

// Alloc implements exec.Backend.
func (b *Backend) Alloc(n int64) (exec.Buffer, error) {
	if n < 0 || int64(int(n)) != n {
		return nil, fmt.Errorf("allocate %d bytes", n)
	}
	data, free, err := allocate(int(n))
	if err != nil {
		return nil, fmt.Errorf("allocate %d bytes: %w", n, err)
	}
	return &buffer{data: data, free: free}, nil
}

func part(buf exec.Buffer, off, n int64) ([]byte, *buffer, error) {
	b, ok := buf.(*buffer)
	if !ok {
		return nil, nil, fmt.Errorf("a buffer of %T is not in the processor's memory", buf)
	}
	if off < 0 || n < 0 || off > b.Bytes()-n {
		return nil, nil, fmt.Errorf("%d bytes at %d of a buffer of %d", n, off, b.Bytes())
	}
	return b.data[off : off+n : off+n], b, nil
}

// Upload implements exec.Backend.
func (b *Backend) Upload(dst exec.Buffer, off int64, src []byte) error {
	data, buf, err := part(dst, off, int64(len(src)))
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if buf.frozen {
		return errors.New("upload: the buffer is read only memory")
	}
	copy(data, src)
	return nil
}

// Download implements exec.Backend.
func (b *Backend) Download(dst []byte, src exec.Buffer, off int64) error {
	data, _, err := part(src, off, int64(len(dst)))
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	copy(dst, data)
	return nil
}

// Launch implements exec.Backend; the kernel has run on return.
func (b *Backend) Launch(l exec.Launch) error {
	views := make([]cpu.View, len(l.In)+len(l.Out))
	in, out := views[:len(l.In)], views[len(l.In):]
	for i, o := range l.In {
		v, _, err := view(o)
		if err != nil {
			return fmt.Errorf("%s: input %d: %w", l.Kernel.Name(), i, err)
		}
		in[i] = v
	}
	for i, o := range l.Out {
		v, buf, err := view(o)
		if err != nil {
			return fmt.Errorf("%s: output %d: %w", l.Kernel.Name(), i, err)
		}
		if buf != nil && buf.frozen {
			return fmt.Errorf("%s: output %d is read only memory", l.Kernel.Name(), i)
		}
		out[i] = v
	}
	var scratch []byte
	if l.Scratch.Buf != nil {
		var err error
		if scratch, _, err = part(l.Scratch.Buf, l.Scratch.Off, l.Scratch.Len); err != nil {
			return fmt.Errorf("%s: scratch: %w", l.Kernel.Name(), err)
		}
	}
	return b.engine.Run(l.Kernel, in, out, scratch)
}

func view(o exec.Operand) (cpu.View, *buffer, error) {
	if o.Buf == nil {
		return cpu.View{}, nil, nil
	}
	data, buf, err := part(o.Buf, o.Off, o.Bytes())
	if err != nil {
		return cpu.View{}, nil, err
	}
	return cpu.View{Data: data, Dtype: o.Dtype, Shape: o.Shape}, buf, nil
}

// Scratch implements exec.Backend.
func (b *Backend) Scratch(k kernels.Kernel, in, out []exec.Type) int64 {
	views := func(ts []exec.Type) []cpu.View {
		vs := make([]cpu.View, len(ts))
		for i, t := range ts {
			if t.Dtype != 0 {
				vs[i] = cpu.View{Dtype: t.Dtype, Shape: t.Shape}
			}
		}
		return vs
	}
	return b.engine.Scratch(k, views(in), views(out))
}

// Sync implements exec.Backend: launches are done when they return.
func (b *Backend) Sync() error { return nil }

// MemoryFree implements exec.Backend: it is the host's.
func (b *Backend) MemoryFree() (int64, error) { return MemoryFree() }

// Close stops the engine's threads.
func (b *Backend) Close() error {
	b.engine.Close()
	return nil
}

var _ exec.Backend = (*Backend)(nil)
