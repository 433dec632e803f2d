package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
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
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("header: %w", err)
		}
		name, ok := tok.(string)
		if !ok {
			return nil, nil, fmt.Errorf("header: %v where a tensor's name belongs", tok)
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("tensor %q is there twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := d.Decode(&meta); err != nil {
				return nil, nil, fmt.Errorf("header: __metadata__ must map strings to strings: %w", err)
			}
			continue
		}
		var raw map[string]json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		t, err := parseInfo(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Name = name
		out = append(out, t)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, errors.New("header: text after the JSON object")
	}
	return out, meta, nil
}

func parseInfo(raw map[string]json.RawMessage) (Info, error) {
	var t Info
	var offsets []int64
	for _, f := range []struct {
		key  string
		into any
	}{{"dtype", &t.Dtype}, {"shape", &t.Shape}, {"data_offsets", &offsets}} {
		v, ok := raw[f.key]
		if !ok {
			return t, fmt.Errorf("%s is missing", f.key)
		}
		if string(v) == "null" {
			return t, fmt.Errorf("%s is null", f.key)
		}
		if err := json.Unmarshal(v, f.into); err != nil {
			return t, fmt.Errorf("%s: %w", f.key, err)
		}
		delete(raw, f.key)
	}
	for k := range raw {
		return t, fmt.Errorf("unknown field %q", k)
	}
	size, ok := sizes[t.Dtype]
	if !ok {
		return t, fmt.Errorf("unknown dtype %q; known are %s", t.Dtype, strings.Join(dtypes(), ", "))
	}
	if len(offsets) != 2 || offsets[0] < 0 || offsets[1] < offsets[0] {
		return t, fmt.Errorf("data_offsets %v; they must be begin and end, end not before begin", offsets)
	}
	t.Offset, t.Bytes = offsets[0], offsets[1]-offsets[0]
	want := size
	for _, n := range t.Shape {
		if n < 0 || n != 0 && want > math.MaxInt64/int64(n) {
			return t, fmt.Errorf("shape %v is impossible", t.Shape)
		}
		want *= int64(n)
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
