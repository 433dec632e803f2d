package op

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Op is the adapter that makes a Spec a gorgonia.SDOp. Each node has its own: gorgonia merges nodes whose operations
// hash alike, so the hash is a number unique in the graph (and the same in every build of the same model).
type Op struct {
	ID   uint32
	Spec Spec
	In   []Ty
	Out  []Ty

	side  []bool    // outputs that a Side node asks for
	stash []G.Value // outputs of the last Do, for the Side nodes of a TapeMachine
}

// Apply adds a node that computes s over the children. Types and shapes are checked by s.Infer first.
func Apply(s Spec, children ...*G.Node) (*G.Node, error) {
	name := s.Kernel().Name()
	o := &Op{Spec: s}
	for i, c := range children {
		if c == nil {
			return nil, fmt.Errorf("%s: input %d is nil", name, i)
		}
		o.In = append(o.In, TypeOf(c))
	}
	if len(children) == 0 {
		return nil, fmt.Errorf("%s: no inputs, so no graph to be added to", name)
	}
	var err error
	if o.Out, err = s.Infer(o.In); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if d := s.DiffWRT(); d != nil && len(d) != len(children) {
		return nil, fmt.Errorf("%s: DiffWRT has %d flags for %d inputs", name, len(d), len(children))
	}
	o.side = make([]bool, len(o.Out))
	o.ID = uint32(len(children[0].Graph().AllNodes()))
	n, err := G.ApplyOp(o, children...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if n.Op() != G.Op(o) {
		return nil, fmt.Errorf("%s: gorgonia merged the new node into node %d (%v); two operations of this graph have the hash %d",
			name, n.ID(), n.Op(), o.ID)
	}
	return n, nil
}

// Of is the adapter of a node that one of attune's operations computes.
func Of(n *G.Node) (*Op, bool) {
	o, ok := n.Op().(*Op)
	return o, ok
}

// TypeOf is the type of any node; Stat is known for attune's operations and their side outputs only.
func TypeOf(n *G.Node) Ty {
	switch o := n.Op().(type) {
	case *Op:
		return o.Out[0]
	case *SideOp:
		return o.Parent.Out[o.Index]
	}
	return Ty{Dtype: n.Dtype(), Shape: n.Shape()}
}

func (t Ty) hm() hm.Type {
	if len(t.Shape) == 0 {
		return t.Dtype
	}
	return G.TensorType{Dims: len(t.Shape), Of: t.Dtype}
}

// Arity implements gorgonia.Op.
func (o *Op) Arity() int { return len(o.In) }

// Type implements gorgonia.Op. It is made anew at every call, because gorgonia returns it to a pool after use.
func (o *Op) Type() hm.Type {
	var ts []hm.Type
	for _, t := range o.In {
		ts = append(ts, t.hm())
	}
	return hm.NewFnType(append(ts, o.Out[0].hm())...)
}

// InferShape implements gorgonia.Op.
func (o *Op) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.Out[0].Shape.Clone(), nil }

// ReturnsPtr implements gorgonia.Op.
func (o *Op) ReturnsPtr() bool { return true }

// CallsExtern implements gorgonia.Op.
func (o *Op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op.
func (o *Op) OverwritesInput() int { return -1 }

// WriteHash implements gorgonia.Op.
func (o *Op) WriteHash(h hash.Hash) { writeHash(h, o.Hashcode()) }

// Hashcode implements gorgonia.Op.
func (o *Op) Hashcode() uint32 { return o.ID }

func (o *Op) String() string { return o.Spec.Kernel().Name() }

// DiffWRT implements gorgonia.SDOp.
func (o *Op) DiffWRT(inputs int) []bool {
	if d := o.Spec.DiffWRT(); d != nil {
		return d
	}
	return make([]bool, inputs)
}

// SymDiff implements gorgonia.SDOp: one node for each input, nil where DiffWRT is false.
func (o *Op) SymDiff(inputs G.Nodes, output, grad *G.Node) (G.Nodes, error) {
	return o.gradients(o.DiffWRT(len(inputs)), inputs, output, grad)
}

// gradients calls the Spec and checks what it gives; inputs that are not wanted get nil.
func (o *Op) gradients(wanted []bool, inputs G.Nodes, output, grad *G.Node) (grads G.Nodes, err error) {
	if s, ok := o.Spec.(Selective); ok {
		grads, err = s.GradOf(wanted, inputs, output, grad)
	} else {
		grads, err = o.Spec.Grad(inputs, output, grad)
	}
	if err != nil {
		return nil, fmt.Errorf("gradient of %s: %w", o, err)
	}
	if len(grads) != len(inputs) {
		return nil, fmt.Errorf("gradient of %s: %d nodes for %d inputs", o, len(grads), len(inputs))
	}
	for i, w := range wanted {
		switch {
		case !w:
			grads[i] = nil
		case grads[i] == nil:
			return nil, fmt.Errorf("gradient of %s: none for input %d, whose gradient is wanted", o, i)
		case !slices.Equal(TypeOf(grads[i]).Shape, o.In[i].Shape):
			return nil, fmt.Errorf("gradient of %s: input %d has shape %v, its gradient %v", o, i, o.In[i].Shape, TypeOf(grads[i]).Shape)
		}
	}
	return grads, nil
}

func writeHash(h hash.Hash, code uint32) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], code)
	_, _ = h.Write(b[:]) // a hash.Hash never fails
}

var errDifferentiatedTwice = errors.New("not differentiable: attune takes first derivatives of training operations only")

// gradless is embedded by Specs that are not differentiated: backward operations and generation.
type gradless struct{}

// DiffWRT implements Spec: no input.
func (gradless) DiffWRT() []bool { return nil }

// Grad implements Spec.
func (gradless) Grad(G.Nodes, *G.Node, *G.Node) (G.Nodes, error) { return nil, errDifferentiatedTwice }

var _ G.SDOp = (*Op)(nil)
