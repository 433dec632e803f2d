// Package exectest helps to test executors and backends: a small llama-like model with everything a training graph has,
// and a backend of plain loops that is the definition other backends are held to.
package exectest

import (
	"encoding/binary"
	"fmt"
	"math"

	"attune/engine/op"
	"attune/internal/rng"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Config is the size and kind of a model; Small gives one to change.
type Config struct {
	Layers, Tokens, Vocab, Hidden, Heads, KVHeads, FFN int
	Rank                                               int     // of the LoRA on every linear; 0 = none
	Dropout                                            float64 // of LoRA
	Full                                               bool    // trains all weights, biases too
	Segments                                           int     // examples packed into the row
	Seed                                               uint64
	Logical                                            tensor.Dtype // float32 by default
}

// Small is two layers with LoRA of rank 2, in odd sizes.
func Small() Config {
	return Config{Layers: 2, Tokens: 11, Vocab: 19, Hidden: 12, Heads: 3, KVHeads: 1, FFN: 10, Rank: 2, Segments: 2, Seed: 1}
}

// Tensor is a value to bind: F floating-point, I integer, one of them nil.
type Tensor struct {
	Shape []int
	F     []float32
	I     []int32
}

// Model is a loss, its gradients and values for all inputs.
type Model struct {
	Config Config
	Loss   *G.Node
	// Trained are the weights that Grads belong to.
	Trained []string
	Grads   G.Nodes
	// Layers are the first node IDs of the layers and of the head.
	Layers []int64
	// Names are the inputs in the order of the graph, Values what they hold.
	Names  []string
	Values map[string]Tensor
}

type builder struct {
	*Model
	g     *G.ExprGraph
	rng   *rng.Source
	nodes map[string]*G.Node
	wrt   G.Nodes
}

// Build makes the model and its backward pass.
func Build(c Config) (m *Model, err error) {
	if c.Logical == (tensor.Dtype{}) {
		c.Logical = tensor.Float32
	}
	b := builder{
		Model: &Model{Config: c, Values: map[string]Tensor{}}, g: G.NewGraph(),
		rng: rng.New(c.Seed), nodes: map[string]*G.Node{},
	}
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("build the test model: %v", r)
		}
	}()
	b.build()
	return b.Model, nil
}

func must(n *G.Node, err error) *G.Node {
	if err != nil {
		panic(err)
	}
	return n
}

func (b *builder) build() {
	c := b.Config
	dh := c.Hidden / c.Heads
	b.batch()
	x := must(op.Embed(b.weight("embed", 1, c.Vocab, c.Hidden), b.nodes["ids"]))
	freq := make([]float64, dh/2)
	for i := range freq {
		freq[i] = math.Pow(100, -float64(2*i)/float64(dh))
	}
	for l := range c.Layers {
		b.Layers = append(b.Layers, int64(len(b.g.AllNodes())))
		p := fmt.Sprintf("layers.%d.", l)
		h := must(op.RMSNorm(x, b.weight(p+"norm1", 1, c.Hidden), 1e-5))
		q := b.linear(p+"q", h, c.Heads, c.Hidden, c.Heads*dh)
		k := b.linear(p+"k", h, c.KVHeads, c.Hidden, c.KVHeads*dh)
		v := b.linear(p+"v", h, c.KVHeads, c.Hidden, c.KVHeads*dh)
		q = must(op.RoPE(q, b.nodes["positions"], freq, 1))
		k = must(op.RoPE(k, b.nodes["positions"], freq, 1))
		a := must(op.Attention(q, k, v, b.nodes["segments"], 1/math.Sqrt(float64(dh)), 0, 0))
		x = must(op.Add(x, b.linear(p+"o", a, 0, c.Heads*dh, c.Hidden)))
		h = must(op.RMSNorm(x, b.weight(p+"norm2", 1, c.Hidden), 1e-5))
		gate, up := b.linear(p+"gate", h, 0, c.Hidden, c.FFN), b.linear(p+"up", h, 0, c.Hidden, c.FFN)
		x = must(op.Add(x, b.linear(p+"down", must(op.SwiGLU("silu", gate, up)), 0, c.FFN, c.Hidden)))
	}
	b.Layers = append(b.Layers, int64(len(b.g.AllNodes())))
	x = must(op.RMSNorm(x, b.weight("norm", 1, c.Hidden), 1e-5))
	b.Loss = must(op.LinearCrossEntropy(kernels.LinearCrossEntropy{}, x, b.nodes["embed"], b.nodes["targets"], b.nodes["weights"]))
	grads, err := op.Backward(b.Loss, b.wrt)
	if err != nil {
		panic(err)
	}
	b.Grads = grads
}

func (b *builder) input(name string, t Tensor) *G.Node {
	d := b.Config.Logical
	if t.I != nil {
		d = tensor.Int32
	}
	n := must(op.Input(b.g, name, d, t.Shape...))
	b.nodes[name] = n
	b.Names, b.Values[name] = append(b.Names, name), t
	return n
}

func (b *builder) train(name string) {
	b.wrt, b.Trained = append(b.wrt, b.nodes[name]), append(b.Trained, name)
}

// weight makes an input of normal values around 0, or around 1 for vectors.
func (b *builder) weight(name string, std float64, shape ...int) *G.Node {
	n := b.input(name, b.random(std, shape...))
	if b.Config.Full {
		b.train(name)
	}
	return n
}

func (b *builder) random(std float64, shape ...int) Tensor {
	size := 1
	for _, s := range shape {
		size *= s
	}
	t := Tensor{Shape: shape, F: make([]float32, size)}
	for i := range t.F {
		// Values of bfloat16, so that either storage holds them exactly.
		t.F[i] = kernels.RoundBFloat16(float32(b.rng.Norm() * std))
		if len(shape) == 1 {
			t.F[i] = kernels.RoundBFloat16(t.F[i]*0.1 + 1)
		}
	}
	return t
}

func (b *builder) linear(name string, x *G.Node, heads, in, out int) *G.Node {
	c := b.Config
	k := kernels.Linear{Bias: c.Full}
	ins := []*G.Node{x, b.weight(name, 1/math.Sqrt(float64(in)), out, in)}
	if k.Bias {
		ins = append(ins, b.weight(name+".bias", 0.1, out))
	}
	if c.Rank > 0 {
		k.Rank, k.Scale, k.Dropout, k.Salt = c.Rank, 0.5, c.Dropout, uint32(len(b.Names))
		ins = append(ins, b.input(name+".lora_A", b.random(1/math.Sqrt(float64(in)), c.Rank, in)), b.input(name+".lora_B", b.random(0.3, out, c.Rank)))
		b.train(name + ".lora_A")
		b.train(name + ".lora_B")
		if c.Dropout > 0 {
			ins = append(ins, b.nodes["keys"])
		}
	}
	if heads > 0 {
		return must(op.LinearHeads(k, heads, ins...))
	}
	return must(op.Linear(k, ins...))
}

// batch makes the inputs of one packed row: segments of about equal length, the last token padding.
func (b *builder) batch() {
	c := b.Config
	n := c.Tokens
	ids, pos, seg, targets, keys := make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	weights := make([]float32, n)
	length := (n + c.Segments - 1) / c.Segments
	for t := range n {
		ids[t], targets[t], keys[t] = int32(b.rng.Intn(c.Vocab)), int32(b.rng.Intn(c.Vocab)), int32(1000+t)
		pos[t], seg[t] = int32(t%length), int32(t/length)
		if t%3 != 0 {
			weights[t] = 1 / float32(n)
		}
	}
	seg[n-1], weights[n-1] = -1, 0
	for _, in := range []struct {
		name string
		v    []int32
	}{{"ids", ids}, {"positions", pos}, {"segments", seg}, {"targets", targets}, {"keys", keys}} {
		if in.name != "keys" || c.Dropout > 0 {
			b.input(in.name, Tensor{Shape: []int{n}, I: in.v})
		}
	}
	b.input("weights", Tensor{Shape: []int{n}, F: weights})
}

// Bytes is the tensor as stored in dtype d.
func (t Tensor) Bytes(d kernels.Dtype) []byte {
	var b []byte
	for _, i := range t.I {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	for _, f := range t.F {
		if d == kernels.BFloat16 {
			b = binary.LittleEndian.AppendUint16(b, kernels.BFloat16Bits(f))
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
		}
	}
	return b
}

// Floats reads float32 or bfloat16 data.
func Floats(data []byte, d kernels.Dtype) []float32 {
	var fs []float32
	for at := 0; at < len(data); at += int(d.Size()) {
		if d == kernels.BFloat16 {
			fs = append(fs, kernels.BFloat16Float(binary.LittleEndian.Uint16(data[at:])))
		} else {
			fs = append(fs, math.Float32frombits(binary.LittleEndian.Uint32(data[at:])))
		}
	}
	return fs
}
