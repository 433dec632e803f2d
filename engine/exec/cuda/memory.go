//go:build gpu

package cuda

import (
	"errors"
	"fmt"
	"slices"

	"attune/engine/exec"

	"gorgonia.org/cu"
)

const (
	// largeBuffer and more get memory of their own, in the driver's pages; smaller buffers share slabs, so that a
	// thousand LoRA tensors do not take two megabytes each.
	largeBuffer = 1 << 20
	driverPage  = 2 << 20
	slabBytes   = 16 << 20
	// bufferAlign is what buffers begin at: two rows of 128 bytes, which suits every kernel.
	bufferAlign = 256
)

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

// span is free bytes of a slab.
type span struct{ off, size int64 }

// slab is one allocation of the driver that small buffers share. Its free spans are in order and never touch.
type slab struct {
	base uint64
	free []span
}

// take gives size bytes from the first span that has them.
func (s *slab) take(size int64) (off int64, ok bool) {
	i := slices.IndexFunc(s.free, func(f span) bool { return f.size >= size })
	if i < 0 {
		return 0, false
	}
	off = s.free[i].off
	if s.free[i].size == size {
		s.free = slices.Delete(s.free, i, i+1)
	} else {
		s.free[i] = span{off + size, s.free[i].size - size}
	}
	return off, true
}

// give takes bytes back.
func (s *slab) give(off, size int64) {
	i := slices.IndexFunc(s.free, func(f span) bool { return f.off > off })
	if i < 0 {
		i = len(s.free)
	}
	s.free = slices.Insert(s.free, i, span{off, size})
	if i+1 < len(s.free) && off+size == s.free[i+1].off {
		s.free[i].size += s.free[i+1].size
		s.free = slices.Delete(s.free, i+1, i+2)
	}
	if i > 0 && s.free[i-1].off+s.free[i-1].size == off {
		s.free[i-1].size += s.free[i].size
		s.free = slices.Delete(s.free, i, i+1)
	}
}

// pool hands out device memory that it has from open.
type pool struct {
	open  func(bytes int64) (uint64, error)
	shut  func(base uint64) error
	slabs []*slab
}

// block is memory of a pool.
type block struct {
	ptr  uint64
	size int64 // taken
	of   *slab // that it is part of; nil = it has its memory to itself
}

func (p *pool) alloc(n int64) (block, error) {
	if n >= largeBuffer {
		size := roundUp(n, driverPage)
		ptr, err := p.open(size)
		return block{ptr: ptr, size: size}, err
	}
	size := roundUp(max(n, 1), bufferAlign)
	for _, s := range p.slabs {
		if off, ok := s.take(size); ok {
			return block{s.base + uint64(off), size, s}, nil
		}
	}
	base, err := p.open(slabBytes)
	if err != nil {
		return block{}, err
	}
	s := &slab{base, []span{{size, slabBytes - size}}}
	p.slabs = append(p.slabs, s)
	return block{base, size, s}, nil
}

func (p *pool) free(b block) error {
	if b.of == nil {
		return p.shut(b.ptr)
	}
	b.of.give(int64(b.ptr-b.of.base), b.size)
	if b.of.free[0] != (span{0, slabBytes}) {
		return nil
	}
	p.slabs = slices.DeleteFunc(p.slabs, func(s *slab) bool { return s == b.of })
	return p.shut(b.of.base)
}

// Footprint is the device memory that buffers of such sizes take, allocated in that order on a device that has no others.
// Beside others they take at most as much.
func Footprint(sizes []int64) int64 {
	var total int64
	p := pool{open: func(n int64) (uint64, error) { total += n; return 0, nil }}
	for _, n := range sizes {
		_, _ = p.alloc(n) // open gives no error
	}
	return total
}

// buffer is memory of the device.
type buffer struct {
	owner *Backend
	size  int64
	block block
	freed bool
}

// Bytes implements exec.Buffer.
func (m *buffer) Bytes() int64 { return m.size }

// Free implements exec.Buffer. Launches before it that use the memory run first: slabs are filled again in the order of
// the stream, and the driver waits before it takes memory back.
func (m *buffer) Free() error {
	if m.freed {
		return nil
	}
	m.freed = true
	return m.owner.do(func() error { return m.owner.pool.free(m.block) })
}

// Alloc implements exec.Backend. Memory that is not there is an exec.ErrMemory.
func (b *Backend) Alloc(n int64) (exec.Buffer, error) {
	if n < 0 {
		return nil, fmt.Errorf("allocate %d bytes", n)
	}
	m := &buffer{owner: b, size: n}
	err := b.do(func() error {
		var err error
		if m.block, err = b.pool.alloc(n); err != nil {
			return b.noMemory(fmt.Sprintf("%d bytes", n), err)
		}
		if err := cu.MemsetD8Async(cu.DevicePtr(m.block.ptr), 0, m.block.size, b.stream); err != nil {
			return errors.Join(b.blame(err), b.pool.free(m.block))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// noMemory is the error of asking for something: an exec.ErrMemory with the figures where that is what the driver says.
func (b *Backend) noMemory(what string, err error) error {
	if !errors.Is(err, cu.OutOfMemory) {
		return b.blame(fmt.Errorf("allocate %s on the GPU: %w", what, err))
	}
	free, total, _ := cu.MemInfo()
	return fmt.Errorf("%w: %s on the GPU (%s), of whose %d bytes %d are free", exec.ErrMemory, what, b.gpu, total, free)
}

// MemoryFree implements exec.Backend: what the driver has left, less what kernels of cuBLASLt and recordings may still
// take of it unasked.
func (b *Backend) MemoryFree() (int64, error) {
	var free int64
	err := b.do(func() (err error) {
		free, _, err = cu.MemInfo()
		return b.blame(err)
	})
	return max(free-reserved, 0), err
}

// reserved bytes are never promised to buffers: the driver loads the library's kernels at their first use.
const reserved = 64 << 20

// part is the address of n bytes at off of a buffer of this backend.
func (b *Backend) part(buf exec.Buffer, off, n int64) (uint64, error) {
	m, ok := buf.(*buffer)
	switch {
	case !ok || m.owner != b:
		return 0, fmt.Errorf("a buffer of %T is not in this device's memory", buf)
	case m.freed:
		return 0, errors.New("the buffer was freed")
	case off < 0 || n < 0 || off > m.size-n:
		return 0, fmt.Errorf("%d bytes at %d of a buffer of %d", n, off, m.size)
	}
	return m.block.ptr + uint64(off), nil
}
