package nn

import (
	"fmt"
	"slices"

	"attune/engine/op"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Names of the input nodes, the names under which a run binds its values.
const (
	IDs       = "ids"       // (T) int32: token ids
	Positions = "positions" // (T) int32: position of each token within its example
	Segments  = "segments"  // (T) int32: which example each token belongs to, -1 = padding
	Targets   = "targets"   // (T) int32: the token to be predicted at each position
	Weights   = "weights"   // (T) float: weight of each target in the loss
	Keys      = "keys"      // (T) int32: counter of dropout; only where an adapter has dropout
	Rows      = "rows"      // (N) int32: which positions become logits
)

// Input is a value that a run supplies (not a weight). Key/value caches are inputs too: "cache.<path>.k" and ".v",
// (S, KV, Dh) each, written in place by the run that reads them.
type Input struct {
	Name  string
	Shape []int
	Int   bool // int32; otherwise floating-point
	Cache bool // kept from run to run
	Node  *G.Node
}

// Inputs are the graph's inputs other than weights, in the order of first use. What a graph does not need (keys
// without dropout, say) is not among them.
func (b *Builder) Inputs() []Input { return slices.Clone(b.inputs) }

// Input is the input node called name, made at its first use.
func (b *Builder) Input(name string) *G.Node {
	switch name {
	case IDs, Positions, Segments, Targets, Keys:
		return b.input(Input{Name: name, Shape: []int{b.o.Tokens}, Int: true})
	case Rows:
		return b.input(Input{Name: name, Shape: []int{b.o.Rows}, Int: true})
	case Weights:
		return b.input(Input{Name: name, Shape: []int{b.o.Tokens}})
	}
	b.Fail(name, fmt.Errorf("no such input; there are %s, %s, %s, %s, %s, %s, %s", IDs, Positions, Segments, Targets, Weights, Keys, Rows))
	return nil
}

func (b *Builder) input(in Input) *G.Node {
	if b.err != nil {
		return nil
	}
	for _, old := range b.inputs {
		if old.Name == in.Name {
			return old.Node
		}
	}
	dt := b.o.Float
	if in.Int {
		dt = tensor.Int32
	}
	var err error
	if in.Node, err = op.Input(b.g, in.Name, dt, in.Shape...); err != nil {
		b.Fail(in.Name, err)
		return nil
	}
	b.inputs = append(b.inputs, in)
	return in.Node
}
