package samerun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"attune/internal/safetensors"
)

// tensors says in what two safetensors files differ, and names the first tensor, by the order in the file, and its first
// element that do; "" where every tensor and the metadata are the same.
func tensors(want, got string) (said string, err error) {
	a, err := safetensors.Open(want)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	b, err := safetensors.Open(got)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	differ := 0
	for _, x := range a.Tensors() {
		d := tensor(x, a.Data(x.Name), b)
		if d == "" {
			continue
		}
		if differ++; said == "" {
			said = d
		}
	}
	for _, y := range b.Tensors() {
		if _, ok := a.Info(y.Name); !ok {
			if differ++; said == "" {
				said = y.Name + " was not expected"
			}
		}
	}
	if differ > 1 {
		said = fmt.Sprintf("%s; %d of %d tensors differ", said, differ, len(a.Tensors()))
	}
	if said == "" {
		said = metadata(a.Metadata(), b.Metadata())
	}
	return said, nil
}

func tensor(x safetensors.Info, want []byte, f *safetensors.File) string {
	y, ok := f.Info(x.Name)
	if !ok {
		return x.Name + " is missing"
	}
	if x.Dtype != y.Dtype || !slices.Equal(x.Shape, y.Shape) {
		return fmt.Sprintf("%s is %s %v, %s %v was expected", x.Name, y.Dtype, y.Shape, x.Dtype, x.Shape)
	}
	got := f.Data(x.Name)
	if bytes.Equal(want, got) {
		return ""
	}
	at := 0
	for want[at] == got[at] {
		at++
	}
	n := 1
	for _, d := range x.Shape {
		n *= d
	}
	size := len(want) / n
	i := at / size
	count := 0
	for k := i * size; k < len(want); k += size {
		if !bytes.Equal(want[k:k+size], got[k:k+size]) {
			count++
		}
	}
	return fmt.Sprintf("%s: element %d of %d is %s, %s was expected; %d elements differ", x.Name, i, n, element(x.Dtype, got[i*size:][:size]),
		element(x.Dtype, want[i*size:][:size]), count)
}

// element is a number as people read it, with its bits, since two floats may be printed alike.
func element(dtype string, b []byte) string {
	switch dtype {
	case "F32":
		u := binary.LittleEndian.Uint32(b)
		return fmt.Sprintf("%g (%#08x)", math.Float32frombits(u), u)
	case "BF16":
		u := binary.LittleEndian.Uint16(b)
		return fmt.Sprintf("%g (%#04x)", math.Float32frombits(uint32(u)<<16), u)
	}
	return fmt.Sprintf("%#x", b)
}

func metadata(want, got map[string]string) string {
	a, b := map[string]any{}, map[string]any{}
	for k, v := range want {
		a[k] = v
	}
	for k, v := range got {
		b[k] = v
	}
	if d := objects(a, b, nil); len(d) > 0 {
		return "metadata: " + d[0]
	}
	return ""
}
