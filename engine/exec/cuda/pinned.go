//go:build gpu

package cuda

import (
	"fmt"
	"sync"
	"unsafe"

	"attune/engine/exec"

	"gorgonia.org/cu"
)

const (
	// slotBytes is the size of one of the two slots that all transfers pass through: page-locked memory, which the GPU
	// copies from by itself while the host fills on.
	slotBytes = 32 << 20
	// pieceBytes is what is copied at once, so that the host's copy of one piece runs beside the GPU's of the last.
	pieceBytes = 8 << 20
)

// ring is the two slots. One is filled from its start to its end, then the other, once all that was copied from it has
// left: small uploads of a hundred rows fit before anything is waited for.
type ring struct {
	mu    sync.Mutex
	quiet sync.Cond // a region was given back
	slots [2]slot
	now   int
}

type slot struct {
	memory []byte
	used   int
	open   int      // regions handed out whose copy is not queued
	queued bool     // copied is recorded and not waited for
	copied cu.Event // behind the last copy from the slot
}

// region is bytes of a slot.
type region struct {
	slot *slot
	data []byte
}

func (b *Backend) openRing() error {
	r := &b.ring
	r.quiet.L = &r.mu
	memory, err := hostAlloc(2 * slotBytes)
	if err != nil {
		return fmt.Errorf("%d bytes of page-locked host memory: %w; raise the limit of locked memory (ulimit -l) or of the container's memory", 2*slotBytes, err)
	}
	b.onClose(func() error { return cu.MemFreeHost(unsafe.Pointer(unsafe.SliceData(memory))) })
	for i := range r.slots {
		s := &r.slots[i]
		s.memory = memory[i*slotBytes : (i+1)*slotBytes]
		if s.copied, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return err
		}
		b.onClose(func() error { return cu.DestroyEvent(&s.copied) })
	}
	return nil
}

// take hands out n bytes, at most slotBytes. It may wait for copies, never for other regions of the caller: those are
// given back first.
func (b *Backend) take(n int) (region, error) {
	r := &b.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		s := &r.slots[r.now]
		if s.used+n <= len(s.memory) {
			g := region{s, s.memory[s.used : s.used+n : s.used+n]}
			s.used += (n + bufferAlign - 1) &^ (bufferAlign - 1)
			s.open++
			return g, nil
		}
		r.now = 1 - r.now
		s = &r.slots[r.now]
		for s.open > 0 {
			r.quiet.Wait()
		}
		if s.queued {
			if err := b.do(func() error { return b.blame(s.copied.Synchronize()) }); err != nil {
				return region{}, err
			}
			s.queued = false
		}
		s.used = 0
	}
}

// give ends the use of a region by the host.
func (b *Backend) give(g region, queued bool) {
	b.ring.mu.Lock()
	defer b.ring.mu.Unlock()
	g.slot.open--
	g.slot.queued = g.slot.queued || queued
	b.ring.quiet.Broadcast()
}

// Upload implements exec.Backend. It returns when src is copied; that the rest happens later shows to nobody, since
// whatever is queued behind it sees the bytes. Several goroutines may upload at once.
func (b *Backend) Upload(dst exec.Buffer, off int64, src []byte) error {
	ptr, err := b.part(dst, off, int64(len(src)))
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	for len(src) > 0 {
		n := min(len(src), pieceBytes)
		g, err := b.take(n)
		if err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		copy(g.data, src)
		err = b.do(func() error {
			if err := cu.MemcpyHtoDAsync(cu.DevicePtr(ptr), unsafe.Pointer(unsafe.SliceData(g.data)), int64(n), b.stream); err != nil {
				return b.blame(err)
			}
			return b.blame(g.slot.copied.Record(b.stream))
		})
		b.give(g, err == nil)
		if err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		src, ptr = src[n:], ptr+uint64(n)
	}
	return nil
}

// Download implements exec.Backend. Memory of HostAlloc is copied to directly.
func (b *Backend) Download(dst []byte, src exec.Buffer, off int64) error {
	ptr, err := b.part(src, off, int64(len(dst)))
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	if len(dst) > 0 && b.isHost(dst) {
		if err := b.do(func() error { return b.fetch(dst, ptr) }); err != nil {
			return fmt.Errorf("download: %w", err)
		}
		return nil
	}
	for len(dst) > 0 {
		n := min(len(dst), pieceBytes)
		g, err := b.take(n)
		if err != nil {
			return fmt.Errorf("download: %w", err)
		}
		err = b.do(func() error { return b.fetch(g.data, ptr) })
		copy(dst, g.data)
		b.give(g, false)
		if err != nil {
			return fmt.Errorf("download: %w", err)
		}
		dst, ptr = dst[n:], ptr+uint64(n)
	}
	return nil
}

// fetch copies to page-locked memory and waits for it.
func (b *Backend) fetch(dst []byte, ptr uint64) error {
	if err := cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(dst)), cu.DevicePtr(ptr), int64(len(dst)), b.stream); err != nil {
		return b.blame(err)
	}
	return b.wait()
}

// HostAlloc makes zeroed page-locked memory of the host, into which downloads go at the full speed of the bus. free gives
// it back.
func (b *Backend) HostAlloc(n int64) (memory []byte, free func() error, err error) {
	if n < 0 || int64(int(n)) != n {
		return nil, nil, fmt.Errorf("allocate %d bytes of page-locked host memory", n)
	}
	err = b.do(func() (err error) {
		memory, err = hostAlloc(int(max(n, 1)))
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("allocate %d bytes of page-locked host memory: %w", n, err)
	}
	clear(memory)
	start := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	b.hosts.Store(start, start+uintptr(len(memory)))
	return memory[:n], func() error {
		b.hosts.Delete(start)
		return b.do(func() error {
			if b.broken != nil {
				return nil
			}
			return b.blame(cu.MemFreeHost(unsafe.Pointer(unsafe.SliceData(memory))))
		})
	}, nil
}

// isHost says whether all of dst lies in memory of HostAlloc.
func (b *Backend) isHost(dst []byte) (in bool) {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(dst)))
	b.hosts.Range(func(start, end any) bool {
		in = start.(uintptr) <= first && first+uintptr(len(dst)) <= end.(uintptr)
		return !in
	})
	return in
}
