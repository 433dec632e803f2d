package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Bounds on what a header may hold. The format has none but that on its size, which leaves room for two million tensors
// or for one of fifty million dimensions; models stay far below these.
const (
	maxTensors  = 1 << 18
	maxDims     = 8
	maxName     = 1 << 10  // bytes of a tensor's name
	maxMetadata = 16 << 20 // bytes of all metadata
	maxEntries  = 1 << 16  // of the metadata
)

// parseHeader reads the JSON header. Offsets come out relative to the first byte after it, still unchecked against
// each other and the file.
func parseHeader(b []byte) ([]Info, map[string]string, error) {
	if len(b) == 0 || b[0] != '{' {
		return nil, nil, errors.New("the header is not a JSON object")
	}
	var (
		out  []Info
		meta map[string]string
		seen = map[string]bool{}
	)
	s := &scanner{b: b}
	err := s.object("the header", func(name string) (err error) {
		if seen[name] {
			return fmt.Errorf("tensor %s is there twice", quote(name))
		}
		seen[name] = true
		if name == "__metadata__" {
			if meta, err = s.metadata(); err != nil {
				err = fmt.Errorf("__metadata__ must map strings to strings: %w", err)
			}
			return err
		}
		if len(out) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		t, err := s.info()
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(name), err)
		}
		t.Name = name
		out = append(out, t)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if s.peek(); s.at < len(b) {
		return nil, nil, errors.New("header: text after the JSON object")
	}
	return out, meta, nil
}

// metadata reads __metadata__, which may be null.
func (s *scanner) metadata() (map[string]string, error) {
	if s.peek(); bytes.HasPrefix(s.b[s.at:], []byte("null")) {
		s.at += len("null")
		return nil, nil
	}
	meta, left, entries := map[string]string{}, maxMetadata, 0
	err := s.object("the metadata", func(key string) error {
		v, err := s.text("its text", left)
		if err != nil {
			return fmt.Errorf("%s: %w", quote(key), err)
		}
		left -= min(left, len(key)+len(v))
		if entries++; entries > maxEntries {
			return fmt.Errorf("it has more than %d entries", maxEntries)
		}
		meta[key] = v
		return nil
	})
	return meta, err
}

// info reads what the header says of one tensor but its name.
func (s *scanner) info() (Info, error) {
	var t Info
	var shape, offsets []int64
	err := s.object("its entry", func(field string) (err error) {
		twice := false
		switch field {
		case "dtype":
			twice = t.Dtype != ""
			t.Dtype, err = s.text("a dtype", maxName)
		case "shape":
			twice = shape != nil
			shape, err = s.numbers("dimensions", maxDims)
		case "data_offsets":
			twice = offsets != nil
			offsets, err = s.numbers("offsets", 2)
		default:
			return fmt.Errorf("unknown field %s", quote(field))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		if twice {
			return fmt.Errorf("%s is there twice", field)
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	switch {
	case t.Dtype == "":
		return t, errors.New("dtype is missing")
	case shape == nil:
		return t, errors.New("shape is missing")
	case offsets == nil:
		return t, errors.New("data_offsets is missing")
	}
	size, ok := sizes[t.Dtype]
	if !ok {
		return t, fmt.Errorf("unknown dtype %s; known are %s", quote(t.Dtype), strings.Join(dtypes(), ", "))
	}
	if len(offsets) != 2 || offsets[0] < 0 || offsets[1] < offsets[0] {
		return t, fmt.Errorf("data_offsets %v; they must be begin and end, end not before begin", offsets)
	}
	t.Offset, t.Bytes = offsets[0], offsets[1]-offsets[0]
	t.Shape = make([]int, len(shape))
	want := size
	for i, n := range shape {
		if n < 0 || n > math.MaxInt || n != 0 && want > math.MaxInt64/n {
			return t, fmt.Errorf("shape %v is impossible", shape)
		}
		want *= n
		t.Shape[i] = int(n)
	}
	if want != t.Bytes {
		return t, fmt.Errorf("%d bytes; shape %v of %s takes %d", t.Bytes, t.Shape, t.Dtype, want)
	}
	return t, nil
}

func dtypes() []string {
	var ds []string
	for d := range sizes {
		ds = append(ds, d)
	}
	slices.Sort(ds)
	return ds
}
