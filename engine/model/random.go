package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"attune/internal/rng"
	"attune/internal/safetensors"
	"attune/kernels"
)

// Random is a model of that shape with random weights, stored as d, in memory and nowhere else: for benchmarks. All
// matrices show the same normal values, with the config's standard deviation, and biases the same again; norms are 1. So
// memory is taken for the largest weight and not for all, and products see numbers like a model's: zeros would run faster.
func Random(c *Config, d kernels.Dtype, seed uint64) (*Checkpoint, error) {
	ts, err := c.Tensors()
	if err != nil {
		return nil, err
	}
	b := &repeated{index: map[string]safetensors.Info{}}
	for name, of := range dtypes {
		if of == d {
			b.dtype = name
		}
	}
	if b.dtype == "" {
		return nil, fmt.Errorf("random weights of %s are %w", d, ErrUnsupported)
	}
	most, norm := 0, 0
	for _, t := range ts {
		n := elements(t.Shape)
		i := safetensors.Info{Name: t.Name, Dtype: b.dtype, Shape: t.Shape, Bytes: int64(n) * d.Size()}
		b.index[t.Name], b.tensors = i, append(b.tensors, i)
		if isNorm(t) {
			norm = max(norm, n)
		} else {
			most = max(most, n)
		}
	}
	if b.normal, err = normal(most, c.InitializerRange, d, seed); err != nil {
		return nil, err
	}
	if b.ones, err = encode(norm, d, func(int) float32 { return 1 }); err != nil {
		return nil, err
	}
	return &Checkpoint{Dir: "random weights", Config: c, set: b}, nil
}

func isNorm(t Tensor) bool { return len(t.Shape) == 1 && strings.HasSuffix(t.Name, ".weight") }

// period is how many normal values are drawn; what is longer repeats them.
const period = 1 << 20

func normal(n int, std float64, d kernels.Dtype, seed uint64) ([]byte, error) {
	r := rng.New(seed)
	data, err := encode(min(n, period), d, func(int) float32 { return float32(std * r.Norm()) })
	if err != nil {
		return nil, err
	}
	size := n * int(d.Size())
	for len(data) < size {
		data = append(data, data[:min(len(data), size-len(data))]...)
	}
	return data, nil
}

// encode is n values in dtype d.
func encode(n int, d kernels.Dtype, f func(int) float32) ([]byte, error) {
	data := make([]byte, 0, 4*n)
	for i := range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f(i)))
	}
	return Weight{Name: "random", Dtype: kernels.Float32, Shape: []int{n}, Data: data}.As(d)
}

// repeated is the tensors of Random: views of two pieces of memory.
type repeated struct {
	dtype   string
	tensors []safetensors.Info
	index   map[string]safetensors.Info
	normal  []byte
	ones    []byte
}

func (b *repeated) Tensors() []safetensors.Info { return b.tensors }

func (b *repeated) Info(name string) (safetensors.Info, bool) {
	i, ok := b.index[name]
	return i, ok
}

func (b *repeated) Data(name string) []byte {
	i := b.index[name]
	if isNorm(Tensor{Name: name, Shape: i.Shape}) {
		return b.ones[:i.Bytes]
	}
	return b.normal[:i.Bytes]
}

func (b *repeated) Release(string)              {}
func (b *repeated) Metadata() map[string]string { return nil }
func (b *repeated) Paths() []string             { return nil }
func (b *repeated) Close() error                { return nil }
