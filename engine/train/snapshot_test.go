package train

import (
	"bytes"
	"errors"
	"testing"

	"attune/engine/session"
	"attune/internal/rng"
	"attune/internal/safetensors"
)

// A snapshot is what the tensors were when it was taken, whatever becomes of them, and the next one lies in the same memory.
func TestSnapshot(t *testing.T) {
	device, err := session.OpenDevice("cpu", 1)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, device.Close)
	var s snapshot
	closeAtEnd(t, s.close)
	var tensors []safetensors.Tensor
	for i, n := range []int{4, 0, pieceBytes - 4, pieceBytes, 3*pieceBytes + 12, 60} {
		data, src := make([]byte, n), rng.New(uint64(i))
		for k := range data {
			data[k] = byte(src.Uint64())
		}
		tensors = append(tensors, safetensors.Tensor{Name: string(rune('a' + i)), Dtype: "F32", Shape: []int{n / 4}, Data: data})
	}
	var size int64
	for _, x := range tensors {
		size += aligned(int64(len(x.Data)))
	}
	if err := s.prepare(device.Host, size); err != nil {
		t.Fatal(err)
	}
	first := &s.memory[0]
	for round := range 3 {
		var was [][]byte
		for _, x := range tensors {
			was = append(was, bytes.Clone(x.Data))
		}
		copies, err := s.take(device.Host, tensors)
		if err != nil || len(copies) != len(tensors) {
			t.Fatalf("%d tensors, %v", len(copies), err)
		}
		for _, x := range tensors {
			for k := range x.Data {
				x.Data[k]++
			}
		}
		for i, c := range copies {
			if c.Name != tensors[i].Name || c.Shape[0] != tensors[i].Shape[0] || !bytes.Equal(c.Data, was[i]) {
				t.Errorf("round %d: %s is not what it was", round, c.Name)
			}
		}
		if &copies[0].Data[0] != first {
			t.Error("the snapshot lies elsewhere than was prepared")
		}
	}
}

// Without memory for a copy there is none, and nothing to give back.
func TestNoSnapshot(t *testing.T) {
	var s snapshot
	full := errors.New("no memory")
	none := func(int64) ([]byte, func() error, error) { return nil, nil, full }
	if _, err := s.take(none, []safetensors.Tensor{{Name: "a", Data: make([]byte, 8)}}); !errors.Is(err, full) {
		t.Error(err)
	}
	if err := s.prepare(none, 8); !errors.Is(err, full) || s.memory != nil {
		t.Error(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
