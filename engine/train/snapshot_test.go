package train

import (
	"bytes"
	"errors"
	"testing"

	"attune/engine/exec"
	"attune/engine/optim"
	"attune/engine/session"
	"attune/internal/rng"
	"attune/kernels"
)

// memory is a device as a snapshot sees it; far is one whose memory the host does not reach.
type memory struct {
	*session.Device
	far bool
}

func (m memory) ReadInto(dst []byte, o exec.Operand) error { return m.Download(dst, o.Buf, o.Off) }
func (m memory) Reaches() bool                             { return !m.far }

// A snapshot is what the tensors were when it was taken, whatever becomes of them, and the next one lies in the same memory.
func TestSnapshot(t *testing.T) {
	for _, far := range []bool{false, true} {
		device, err := session.OpenDevice("cpu", 1)
		if err != nil {
			t.Fatal(err)
		}
		closeAtEnd(t, device.Close)
		from := memory{device, far}
		var s snapshot
		closeAtEnd(t, s.close)
		var parts []optim.Param
		var was [][]byte
		var size int64
		for i, n := range []int{4, 0, pieceBytes - 4, pieceBytes, 3*pieceBytes + 12, 60} {
			const before = 64 // a part of a buffer
			buf, err := device.Alloc(int64(before + n))
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, buf.Free)
			parts = append(parts, optim.Param{Name: string(rune('a' + i)), Value: exec.Operand{Buf: buf, Off: before, Dtype: kernels.Float32, Shape: []int{n / 4}}})
			was = append(was, make([]byte, n))
			size += aligned(int64(n))
		}
		if err := s.prepare(device.Host, size); err != nil {
			t.Fatal(err)
		}
		first := &s.memory[0]
		for round := range 3 {
			src := rng.New(uint64(round))
			for i, p := range parts {
				for k := range was[i] {
					was[i][k] = byte(src.Uint64())
				}
				if err := exec.Upload(device, p.Value, was[i]); err != nil {
					t.Fatal(err)
				}
			}
			copies, err := s.take(from, parts)
			if err != nil || len(copies) != len(parts) {
				t.Fatalf("%d tensors, %v", len(copies), err)
			}
			for i, p := range parts {
				if err := exec.Upload(device, p.Value, make([]byte, len(was[i]))); err != nil {
					t.Fatal(err)
				}
			}
			for i, c := range copies {
				if c.Name != parts[i].Name || c.Shape[0] != len(was[i])/4 || !bytes.Equal(c.Data, was[i]) {
					t.Errorf("round %d: %s is not what it was", round, c.Name)
				}
			}
			if &copies[0].Data[0] != first {
				t.Error("the snapshot lies elsewhere than was prepared")
			}
		}
	}
}

// full is a device without memory for a copy.
type full struct {
	memory
	err error
}

func (f full) Host(int64) ([]byte, func() error, error) { return nil, nil, f.err }

// Without memory for a copy there is none, and nothing to give back.
func TestNoSnapshot(t *testing.T) {
	var s snapshot
	none := full{err: errors.New("no memory")}
	if _, err := s.take(none, []optim.Param{{Name: "a", Value: exec.Operand{Dtype: kernels.Float32, Shape: []int{2}}}}); !errors.Is(err, none.err) {
		t.Error(err)
	}
	if err := s.prepare(none.Host, 8); !errors.Is(err, none.err) || s.memory != nil {
		t.Error(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
