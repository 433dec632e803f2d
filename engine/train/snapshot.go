package train

import (
	"runtime"
	"sync"
	"sync/atomic"

	"attune/engine/exec"
	"attune/internal/safetensors"
)

// SnapshotBytes is the memory of the copy of a state from which checkpoints are written in the background: of the trained
// weights, whose bytes are given, and of the optimizer's two moments of each.
func SnapshotBytes(trained int64) int64 { return 3 * trained }

// snapshot is memory for a copy of a state. It lies outside the Go heap, whose garbage is collected by how much is alive,
// and stays until the end of the run. Memory that is touched for the first time is slow to come, on some machines twenty times
// slower than the copy: it is touched beside the first steps.
type snapshot struct {
	memory  []byte
	free    func() error
	touched sync.WaitGroup
	enough  atomic.Bool
}

// pieceBytes is how much one goroutine copies at a time.
const pieceBytes = 4 << 20

// pageBytes is how much memory comes with one byte of it, at least.
const pageBytes = 4096

// prepare asks host for the memory that take will need.
func (s *snapshot) prepare(host func(bytes int64) ([]byte, func() error, error), size int64) (err error) {
	if s.memory, s.free, err = host(size); err != nil {
		s.memory = nil
		return err
	}
	memory := s.memory
	s.touched.Go(func() {
		for at := 0; at < len(memory) && !s.enough.Load(); at += pageBytes {
			memory[at] = 0
		}
	})
	return nil
}

// take copies tensors, on all cores: what copying is bound by, memory, a single one does not exhaust. host gives memory. What
// was taken before is overwritten.
func (s *snapshot) take(host func(bytes int64) ([]byte, func() error, error), tensors []safetensors.Tensor) ([]safetensors.Tensor, error) {
	var size int64
	for _, t := range tensors {
		size += aligned(int64(len(t.Data)))
	}
	if s.memory == nil {
		if err := s.prepare(host, size); err != nil {
			return nil, err
		}
	}
	s.rest()
	type piece struct{ dst, src []byte }
	pieces := make(chan piece)
	var g sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() {
			for p := range pieces {
				copy(p.dst, p.src)
			}
		})
	}
	copies := make([]safetensors.Tensor, len(tensors))
	at := int64(0)
	for i, t := range tensors {
		n := int64(len(t.Data))
		copies[i] = t
		copies[i].Data = s.memory[at : at+n : at+n]
		for off := int64(0); off < n; off += pieceBytes {
			end := min(n, off+pieceBytes)
			pieces <- piece{copies[i].Data[off:end], t.Data[off:end]}
		}
		at += aligned(int64(len(t.Data)))
	}
	close(pieces)
	g.Wait()
	return copies, nil
}

// aligned is the room in a snapshot of a tensor of so many bytes.
func aligned(bytes int64) int64 { return (bytes + exec.Align - 1) / exec.Align * exec.Align }

// rest ends the touching: what is left of it comes with the copy.
func (s *snapshot) rest() {
	s.enough.Store(true)
	s.touched.Wait()
}

// close gives the memory back.
func (s *snapshot) close() error {
	if s.memory == nil {
		return nil
	}
	s.rest()
	s.memory = nil
	return s.free()
}
