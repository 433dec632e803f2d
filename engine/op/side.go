package op

import (
	"fmt"
	"hash"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SideOp marks a node that stands for a further output of the operation that is its only child. It computes nothing: the
// executor binds it to the parent's output, a TapeMachine takes it from the parent's last results. It is no read of the
// parent's first output.
type SideOp struct {
	Parent *Op
	Index  int
}

// Side is the node of output i > 0 of n, the same one at every call. n must be a node of Apply's and i one of its
// outputs; anything else is a mistake in a Spec and panics.
func Side(n *G.Node, i int) *G.Node {
	o, ok := Of(n)
	if !ok || i <= 0 || i >= len(o.Out) {
		panic(fmt.Sprintf("op: node %d (%v) has no side output %d", n.ID(), n.Op(), i))
	}
	o.side[i] = true
	s, err := G.ApplyOp(&SideOp{Parent: o, Index: i}, n)
	if err != nil {
		panic(fmt.Sprintf("op: side output %d of %v: %v", i, o, err))
	}
	if p, j, ok := SideOf(s); !ok || p != n || j != i {
		panic(fmt.Sprintf("op: side output %d of node %d was merged into node %d", i, n.ID(), s.ID()))
	}
	return s
}

// SideOf tells whose output a Side node stands for, and which.
func SideOf(n *G.Node) (parent *G.Node, index int, ok bool) {
	s, ok := n.Op().(*SideOp)
	if !ok {
		return nil, 0, false
	}
	return children(n)[0], s.Index, true
}

// children are the inputs of a node in order, repeated ones too.
func children(n *G.Node) G.Nodes {
	var out G.Nodes
	for it := n.Graph().From(n.ID()); it.Next(); {
		out = append(out, it.Node().(*G.Node))
	}
	return out
}

// Arity implements gorgonia.Op.
func (s *SideOp) Arity() int { return 1 }

// Type implements gorgonia.Op.
func (s *SideOp) Type() hm.Type {
	return hm.NewFnType(s.Parent.Out[0].hm(), s.Parent.Out[s.Index].hm())
}

// InferShape implements gorgonia.Op.
func (s *SideOp) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return s.Parent.Out[s.Index].Shape.Clone(), nil
}

// ReturnsPtr implements gorgonia.Op.
func (s *SideOp) ReturnsPtr() bool { return true }

// CallsExtern implements gorgonia.Op.
func (s *SideOp) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op.
func (s *SideOp) OverwritesInput() int { return -1 }

// WriteHash implements gorgonia.Op.
func (s *SideOp) WriteHash(h hash.Hash) { writeHash(h, s.Hashcode()) }

// Hashcode implements gorgonia.Op: unique for parent and index, and apart from every Op's.
func (s *SideOp) Hashcode() uint32 { return 1<<31 | s.Parent.ID<<3 | uint32(s.Index) }

func (s *SideOp) String() string { return fmt.Sprintf("%v[%d]", s.Parent, s.Index) }

// DiffWRT implements gorgonia.SDOp: a side output is for backward operations to read, not for losses.
func (s *SideOp) DiffWRT(int) []bool { return []bool{false} }

// SymDiff implements gorgonia.SDOp.
func (s *SideOp) SymDiff(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) {
	return nil, fmt.Errorf("gradient of %v: %w", s, errDifferentiatedTwice)
}

// Do implements gorgonia.Op: the parent ran before, as it is the only input.
func (s *SideOp) Do(...G.Value) (G.Value, error) {
	if s.Index >= len(s.Parent.stash) || s.Parent.stash[s.Index] == nil {
		return nil, fmt.Errorf("%v: %v has not run", s, s.Parent)
	}
	return s.Parent.stash[s.Index], nil
}

var _ G.SDOp = (*SideOp)(nil)
