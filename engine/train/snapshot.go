package train

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"attune/engine/exec"
	"attune/engine/optim"
	"attune/internal/safetensors"

	"golang.org/x/sync/errgroup"
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

// source is where a state lies: a session.
type source interface {
	Host(bytes int64) (memory []byte, free func() error, err error)
	ReadInto(dst []byte, o exec.Operand) error
	Reaches() bool
}

// take copies float32 tensors from a device: on all cores where that is a copy in the host's memory, since a single one does
// not exhaust it. What was taken before is overwritten.
func (s *snapshot) take(from source, parts []optim.Param) ([]safetensors.Tensor, error) {
	var size int64
	for _, p := range parts {
		size += aligned(p.Value.Bytes())
	}
	if s.memory == nil {
		if err := s.prepare(from.Host, size); err != nil {
			return nil, err
		}
	}
	s.rest()
	type piece struct {
		dst  []byte
		part exec.Operand
	}
	var g errgroup.Group
	pieces := make(chan piece)
	readers := 1 // a device is used by one goroutine at a time
	if from.Reaches() {
		readers = runtime.GOMAXPROCS(0)
	}
	for range readers {
		g.Go(func() (err error) {
			for p := range pieces {
				if err == nil {
					err = from.ReadInto(p.dst, p.part)
				}
			}
			return err
		})
	}
	copies := make([]safetensors.Tensor, len(parts))
	at := int64(0)
	for i, p := range parts {
		n := p.Value.Bytes()
		copies[i] = safetensors.Tensor{Name: p.Name, Dtype: "F32", Shape: p.Value.Shape, Data: s.memory[at : at+n : at+n]}
		for off := int64(0); off < n; off += pieceBytes {
			end := min(n, off+pieceBytes)
			part := p.Value
			part.Off, part.Shape = part.Off+off, []int{int(end-off) / 4}
			pieces <- piece{copies[i].Data[off:end], part}
		}
		at += aligned(n)
	}
	close(pieces)
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("copy the state: %w", err)
	}
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
