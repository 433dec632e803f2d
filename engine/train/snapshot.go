package train

import (
	"runtime"
	"sync"

	"attune/engine/exec"
	"attune/internal/safetensors"
)

// SnapshotBytes is the memory of the copy of a state from which checkpoints are written in the background: of the trained
// weights, whose bytes are given, and of the optimizer's two moments of each.
func SnapshotBytes(trained int64) int64 { return 3 * trained }

// snapshot is memory for a copy of a state. It lies outside the Go heap, whose garbage is collected by how much is alive,
// is asked for at the first copy and stays until the end of the run.
type snapshot struct {
	memory []byte
	free   func() error
}

// pieceBytes is how much one goroutine copies at a time.
const pieceBytes = 4 << 20

// take copies tensors, on all cores: what copying is bound by, memory, a single one does not exhaust. host gives memory. What
// was taken before is overwritten.
func (s *snapshot) take(host func(bytes int64) ([]byte, func() error, error), tensors []safetensors.Tensor) ([]safetensors.Tensor, error) {
	var size int64
	for _, t := range tensors {
		size += aligned(t)
	}
	if s.memory == nil {
		var err error
		if s.memory, s.free, err = host(size); err != nil {
			return nil, err
		}
	}
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
		at += aligned(t)
	}
	close(pieces)
	g.Wait()
	return copies, nil
}

// aligned is the room of a tensor in a snapshot.
func aligned(t safetensors.Tensor) int64 {
	return (int64(len(t.Data)) + exec.Align - 1) / exec.Align * exec.Align
}

// close gives the memory back.
func (s *snapshot) close() error {
	if s.memory == nil {
		return nil
	}
	s.memory = nil
	return s.free()
}
