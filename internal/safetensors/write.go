package safetensors

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// Tensor is one tensor to be written.
type Tensor struct {
	Name  string
	Dtype string // F32, F16, BF16, ...
	Shape []int
	Data  []byte // little-endian
	// Load, if not nil, gives Data when it is to be written, good until the next Load.
	Load func() ([]byte, error)
}

// Encode writes tensors as a file of the format. The same tensors and metadata give the same bytes in whatever order they
// come: widest dtype first, then by name, as the format's own library does, so that every tensor is aligned. Nothing is
// written of tensors that cannot be.
func Encode(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header, sorted, err := encodeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<20)
	if err := binary.Write(b, binary.LittleEndian, uint64(len(header))); err != nil {
		return err
	}
	if _, err := b.Write(header); err != nil {
		return err
	}
	for _, t := range sorted {
		if t.Load != nil {
			t.Data, err = t.Load()
			if t.Load = nil; err == nil {
				_, err = t.bytes()
			}
			if err != nil {
				return fmt.Errorf("write tensor %q: %w", t.Name, err)
			}
		}
		if _, err := b.Write(t.Data); err != nil {
			return err
		}
	}
	return b.Flush()
}

// encodeHeader checks the tensors, puts them into their order and writes the JSON header, padded to eight bytes.
func encodeHeader(tensors []Tensor, metadata map[string]string) ([]byte, []Tensor, error) {
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(sizes[b.Dtype], sizes[a.Dtype]), cmp.Compare(a.Name, b.Name))
	})
	var buf bytes.Buffer
	quote := func(s string) { // encoding/json's strings, without its HTML escapes
		e := json.NewEncoder(&buf)
		e.SetEscapeHTML(false)
		_ = e.Encode(s) // a string always encodes
		buf.Truncate(buf.Len() - 1)
	}
	sep := byte('{')
	if len(metadata) > 0 {
		buf.WriteString(`{"__metadata__":`)
		for _, k := range slices.Sorted(maps.Keys(metadata)) {
			buf.WriteByte(sep)
			quote(k)
			buf.WriteByte(':')
			quote(metadata[k])
			sep = ','
		}
		buf.WriteByte('}')
		sep = ','
	}
	seen, at := map[string]bool{}, int64(0)
	for _, t := range sorted {
		size, err := t.bytes()
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if !utf8.ValidString(t.Name) {
			return nil, nil, fmt.Errorf("tensor %q: the name is not UTF-8", t.Name)
		}
		if seen[t.Name] || t.Name == "__metadata__" {
			return nil, nil, fmt.Errorf("tensor %q: the name is taken", t.Name)
		}
		seen[t.Name] = true
		buf.WriteByte(sep)
		sep = ','
		quote(t.Name)
		shape, _ := json.Marshal(append([]int{}, t.Shape...)) // numbers always encode; [] rather than null
		fmt.Fprintf(&buf, `:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, t.Dtype, shape, at, at+size)
		at += size
	}
	if sep == '{' {
		buf.WriteByte('{')
	}
	buf.WriteByte('}')
	for buf.Len()%8 != 0 {
		buf.WriteByte(' ')
	}
	if buf.Len() > maxHeader {
		return nil, nil, fmt.Errorf("the header would take %d bytes; at most %d are allowed", buf.Len(), maxHeader)
	}
	return buf.Bytes(), sorted, nil
}

// bytes is how many the shape takes; Data must have as many, unless it is to be loaded.
func (t Tensor) bytes() (int64, error) {
	size, ok := sizes[t.Dtype]
	if !ok {
		return 0, fmt.Errorf("unknown dtype %q", t.Dtype)
	}
	for _, n := range t.Shape {
		if n < 0 || n != 0 && size > math.MaxInt64/int64(n) {
			return 0, fmt.Errorf("shape %v is impossible", t.Shape)
		}
		size *= int64(n)
	}
	if t.Load == nil && size != int64(len(t.Data)) {
		return 0, fmt.Errorf("%d bytes; shape %v of %s takes %d", len(t.Data), t.Shape, t.Dtype, size)
	}
	return size, nil
}
