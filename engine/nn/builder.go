// Package nn builds a model's graph layer by layer. A Builder holds the graph, names every weight by its Hugging Face
// path ("model.layers.3.self_attn.q_proj.weight"), puts LoRA adapters on the linears that carry one, and keeps the
// first error together with the path at which it arose, so that an architecture reads top to bottom as its paper does:
//
//	b := nn.NewBuilder(gorgonia.NewGraph(), nn.Options{Tokens: 512})
//	x := b.Embed("model.embed_tokens", vocab, hidden)        // (T, D)
//	h := b.RMSNorm("model.layers.0.input_layernorm", x, eps) // (T, D)
//	...
//	if err := b.Err(); err != nil { ... }
//
// Nothing is computed here and no weight is read: a Param says what must be bound to which node.
package nn

import (
	"errors"
	"fmt"
	"slices"

	"attune/engine/op"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options say what a graph is built for.
type Options struct {
	// Float is the logical dtype of every floating-point value; the zero value is float32, tests use float64. What a
	// value is stored as is engine/exec's decision.
	Float tensor.Dtype
	// Tokens is T, the tokens of one run.
	Tokens int
	// Learnt is how many of the tokens have a weight other than 0 at most (kernels.LinearCrossEntropy.Most); 0 = all may.
	Learnt int
	// CacheLen > 0 builds for generation: attention reads and writes a key/value cache of so many rows.
	CacheLen int
	// Rows is N, how many rows of the last hidden state become logits; 0 = 1. Used by Pick.
	Rows int
	// Trained says which base weights are trained (full fine-tuning), by name; nil = none.
	Trained func(name string) bool
	// Adapter gives the LoRA of the linear at path, or nil for none; a nil function = no adapters.
	Adapter func(path string, in, out int) *LoRA
}

// LoRA is the low-rank update of one linear: y = x Wᵀ + Scale · drop(x) Aᵀ Bᵀ (Hu et al. 2021, arXiv:2106.09685).
type LoRA struct {
	Rank    int     // r
	Scale   float64 // alpha/r, or alpha/sqrt(r) with rsLoRA
	Dropout float64 // probability that an element of x is dropped on the adapter's way; 0 = none
	Salt    uint32  // makes this adapter's dropout differ from the others'
}

// Kind tells a model's own weights from those an adapter adds.
type Kind uint8

const (
	Base Kind = iota
	Adapter
)

// String is the word used in tables.
func (k Kind) String() string {
	if k == Adapter {
		return "adapter"
	}
	return "base"
}

// Param is one weight of the graph: an input node that keeps its value from run to run.
type Param struct {
	// Name is the Hugging Face path: model.layers.0.self_attn.q_proj.weight; an adapter's matrices are
	// model.layers.0.self_attn.q_proj.lora_A.weight (r, in) and .lora_B.weight (out, r).
	Name    string
	Shape   []int
	Trained bool
	Kind    Kind
	Node    *G.Node
}

// Linear is one linear layer of the model, with the adapter it carries or nil.
type Linear struct {
	Path    string
	In, Out int
	LoRA    *LoRA
}

// Builder collects nodes, weights and the first error. After an error every method returns nil and does nothing, so
// callers need to look at Err only once, at the end.
type Builder struct {
	g       *G.ExprGraph
	o       Options
	err     error
	params  []Param
	byName  map[string]int
	linears []Linear
	inputs  []Input
	layers  []int64
}

// NewBuilder builds into g, which must be empty: node IDs are the order of execution.
func NewBuilder(g *G.ExprGraph, o Options) *Builder {
	if o.Float == (tensor.Dtype{}) {
		o.Float = tensor.Float32
	}
	if o.Rows == 0 {
		o.Rows = 1
	}
	b := &Builder{g: g, o: o, byName: map[string]int{}}
	switch {
	case o.Float != tensor.Float32 && o.Float != tensor.Float64:
		b.err = fmt.Errorf("build the graph: dtype %v; the graph is float32 or float64", o.Float)
	case o.Tokens <= 0:
		b.err = fmt.Errorf("build the graph: %d tokens; at least 1 is needed", o.Tokens)
	case len(g.AllNodes()) != 0:
		b.err = errors.New("build the graph: it is not empty; take a new one")
	}
	return b
}

// Err is the first error, with the path of the layer in which it arose.
func (b *Builder) Err() error { return b.err }

// Graph is the graph that is built into.
func (b *Builder) Graph() *G.ExprGraph { return b.g }

// Options are those the builder was made with, defaults filled in.
func (b *Builder) Options() Options { return b.o }

// Params are the weights in the order in which the graph uses them first; a shared weight is listed once.
func (b *Builder) Params() []Param { return slices.Clone(b.params) }

// Trained are the nodes of the trained weights, in the order of Params: what op.Backward is asked for.
func (b *Builder) Trained() G.Nodes {
	var ns G.Nodes
	for _, p := range b.params {
		if p.Trained {
			ns = append(ns, p.Node)
		}
	}
	return ns
}

// Linears are the model's linear layers in order, whether they carry an adapter or not; the output head, which is
// fused with the loss, is not among them.
func (b *Builder) Linears() []Linear { return slices.Clone(b.linears) }

// LayerStart marks the beginning of a layer: recompute works on the ranges between marks.
func (b *Builder) LayerStart() { b.layers = append(b.layers, int64(len(b.g.AllNodes()))) }

// LayerStarts are the first node IDs of the layers marked, ascending. A model marks each of its layers, and the head
// (final norm, loss) as one more.
func (b *Builder) LayerStarts() []int64 { return slices.Clone(b.layers) }

// Fail records an error of the layer at path, unless there already is one.
func (b *Builder) Fail(path string, err error) {
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("build %s: %w", path, err)
	}
}

// Param is the weight called name, made at its first use. Two uses with different shapes are an error.
func (b *Builder) Param(name string, shape ...int) *G.Node { return b.param(name, Base, shape) }

func (b *Builder) param(name string, kind Kind, shape []int) *G.Node {
	if b.err != nil {
		return nil
	}
	if i, ok := b.byName[name]; ok {
		p := b.params[i]
		if !slices.Equal(p.Shape, shape) {
			b.Fail(name, fmt.Errorf("used as %v and as %v", p.Shape, shape))
			return nil
		}
		return p.Node
	}
	trained := kind == Adapter || b.o.Trained != nil && b.o.Trained(name)
	n, err := op.Input(b.g, name, b.o.Float, shape...)
	if err != nil {
		b.Fail(name, err)
		return nil
	}
	b.byName[name] = len(b.params)
	b.params = append(b.params, Param{Name: name, Shape: slices.Clone(shape), Trained: trained, Kind: kind, Node: n})
	return n
}
