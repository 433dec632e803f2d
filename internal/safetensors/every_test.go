package safetensors

import (
	"bytes"
	"io"
	"testing"

	"attune/internal/disk"
	"attune/internal/disk/disktest"
)

// A file that is written whole holds the old tensors or the new ones, whatever goes wrong on the way.
func TestEveryFaultOfAFile(t *testing.T) {
	// more than a buffer of Encode's, so that the file is written in several pieces
	before, after := bytes.Repeat([]byte{1}, 3<<19), bytes.Repeat([]byte{2}, 5<<19)
	write := func(data []byte) func(disk.FS) error {
		return func(d disk.FS) error {
			ts := []Tensor{{Name: "a", Dtype: "U8", Shape: []int{len(data) / 2}, Data: data[:len(data)/2]}, {Name: "b", Dtype: "U8", Shape: []int{len(data) / 2}, Data: data[len(data)/2:]}}
			return disk.Create(d, "x.safetensors", func(w io.Writer) error { return Encode(w, ts, nil) })
		}
	}
	disktest.Every{Before: write(before), Do: write(after), Look: func(t *testing.T, d disk.FS, done bool) {
		f, err := Open(d.Path("x.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got := append(bytes.Clone(f.Data("a")), f.Data("b")...)
		if !bytes.Equal(got, after) && (done || !bytes.Equal(got, before)) {
			t.Errorf("done %v, and there are %d bytes, neither the old ones nor the new", done, len(got))
		}
	}}.Run(t)
}
