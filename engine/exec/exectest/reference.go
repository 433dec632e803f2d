package exectest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"attune/engine/exec"
	"attune/kernels"
)

// Reference is a backend that runs the references of package kernels. Inputs are copied before a kernel runs and
// outputs written after it, so no kernel ever sees memory shared.
type Reference struct {
	// Launched counts kernels by name.
	Launched map[string]int
	// NeedScratch refuses launches with less than Scratch.
	NeedScratch bool
	// Allocated is the bytes of buffers not freed yet.
	Allocated int64
}

// NewReference gives an empty one.
func NewReference() *Reference { return &Reference{Launched: map[string]int{}} }

type memory struct {
	owner *Reference
	data  []byte
}

func (m *memory) Bytes() int64 { return int64(len(m.data)) }

func (m *memory) Free() error {
	if m.data == nil {
		return errors.New("freed twice")
	}
	m.owner.Allocated -= m.Bytes()
	m.data = nil
	return nil
}

// Name implements exec.Backend.
func (r *Reference) Name() string { return "reference" }

// Alloc implements exec.Backend.
func (r *Reference) Alloc(n int64) (exec.Buffer, error) {
	if n < 0 || n > 1<<30 {
		return nil, fmt.Errorf("allocate %d bytes", n)
	}
	r.Allocated += n
	return &memory{r, make([]byte, n)}, nil
}

func (r *Reference) part(b exec.Buffer, off, n int64) ([]byte, error) {
	m, ok := b.(*memory)
	if !ok || m.owner != r || off < 0 || n < 0 || off > m.Bytes()-n {
		return nil, fmt.Errorf("%d bytes at %d are not in the buffer", n, off)
	}
	return m.data[off : off+n], nil
}

// Upload implements exec.Backend.
func (r *Reference) Upload(dst exec.Buffer, off int64, src []byte) error {
	d, err := r.part(dst, off, int64(len(src)))
	copy(d, src)
	return err
}

// Download implements exec.Backend.
func (r *Reference) Download(dst []byte, src exec.Buffer, off int64) error {
	s, err := r.part(src, off, int64(len(dst)))
	copy(dst, s)
	return err
}

// Scratch implements exec.Backend. The references need none; some is asked for so that planning it is tested.
func (r *Reference) Scratch(_ kernels.Kernel, in, _ []exec.Type) int64 { return int64(40 * len(in)) }

// Launch implements exec.Backend.
func (r *Reference) Launch(l exec.Launch) error {
	r.Launched[l.Kernel.Name()]++
	if need := int64(40 * len(l.In)); r.NeedScratch && l.Scratch.Len < need {
		return fmt.Errorf("%s: %d bytes of scratch, needs %d", l.Kernel.Name(), l.Scratch.Len, need)
	}
	if l.Scratch.Buf != nil {
		s, err := r.part(l.Scratch.Buf, l.Scratch.Off, l.Scratch.Len)
		if err != nil {
			return err
		}
		for i := range s {
			s[i] = 0xff // scratch is the kernel's: whoever keeps something there must notice
		}
	}
	tensors := func(os []exec.Operand) ([]*kernels.Tensor[float32], error) {
		ts := make([]*kernels.Tensor[float32], len(os))
		for i, o := range os {
			if o.Buf == nil {
				continue
			}
			data, err := r.part(o.Buf, o.Off, o.Bytes())
			if err != nil {
				return nil, err
			}
			ts[i] = &kernels.Tensor[float32]{Shape: o.Shape}
			if o.Dtype == kernels.Int32 {
				ts[i].I = make([]int32, 0, len(data)/4)
				for at := 0; at < len(data); at += 4 {
					ts[i].I = append(ts[i].I, int32(binary.LittleEndian.Uint32(data[at:])))
				}
			} else {
				ts[i].F = Floats(data, o.Dtype)
			}
		}
		return ts, nil
	}
	in, err := tensors(l.In)
	if err != nil {
		return fmt.Errorf("inputs: %w", err)
	}
	out, err := tensors(l.Out)
	if err != nil {
		return fmt.Errorf("outputs: %w", err)
	}
	for _, t := range out {
		if t != nil {
			for i := range t.F {
				t.F[i] = float32(math.NaN()) // what a kernel leaves out shows
			}
		}
	}
	if l.Kernel.Name() == (kernels.AttentionCached{}).Name() {
		return errors.New("kernels that write inputs are not for this backend")
	}
	l.Kernel.Float32(in, out)
	for i, t := range out {
		if t == nil {
			continue
		}
		if err := r.Upload(l.Out[i].Buf, l.Out[i].Off, Tensor{F: t.F, I: t.I}.Bytes(l.Out[i].Dtype)); err != nil {
			return err
		}
	}
	return nil
}

// Sync implements exec.Backend.
func (r *Reference) Sync() error { return nil }

// MemoryFree implements exec.Backend.
func (r *Reference) MemoryFree() (int64, error) { return 1 << 30, nil }

// Close implements exec.Backend.
func (r *Reference) Close() error { return nil }

var _ exec.Backend = (*Reference)(nil)
