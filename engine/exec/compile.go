package exec

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ErrMemory marks the error of a program that does not fit the limit whatever is recomputed.
var ErrMemory = errors.New("not enough memory")

// Options say how a graph becomes a program.
type Options struct {
	// Activations is what activations and their gradients are stored as: Float32 (the default) or BFloat16. Integers
	// are Int32, and outputs marked op.Ty.Stat are Float32 always.
	Activations kernels.Dtype
	// Storage is what inputs are stored as, by node name. The default is the logical dtype: Float32 or Int32.
	Storage map[string]kernels.Dtype
	// Accumulate adds gradients to persistent buffers as soon as they are made.
	Accumulate []Accumulation
	// Layers are the IDs of the first node of each layer, ascending, and last that of what follows the layers (the
	// head). Layers are what is recomputed and what errors name.
	Layers []int64
	// Recompute is how much of the forward pass is run twice; the default is nothing.
	Recompute Recompute
	// Scratch is Backend.Scratch of the backend that the program is for. The default is no scratch for any kernel.
	Scratch func(k kernels.Kernel, in, out []Type) int64
	// NoInPlace keeps every output in memory of its own. It is for tests: results are the same.
	NoInPlace bool
}

// Accumulation is acc += gradient: Into names a float32 buffer of the gradient's shape that is bound like an input,
// keeps its value from run to run, and is set to zero by its owner (kernels.Zero).
type Accumulation struct {
	Grad *G.Node
	Into string
}

// Compile makes a program that computes outputs and accumulates gradients. Where there is a backward pass the first
// output must be the loss: what comes behind it in the order of IDs is taken for backward.
//
// Errors name the node: an operation that is none of engine/op's, an input without a name or with another's, a dtype
// that cannot be stored.
func Compile(outputs G.Nodes, o Options) (*Program, error) {
	if o.Activations == 0 {
		o.Activations = kernels.Float32
	}
	if o.Activations != kernels.Float32 && o.Activations != kernels.BFloat16 {
		return nil, fmt.Errorf("compile: activations stored as %v; float32 and bfloat16 are possible", o.Activations)
	}
	if !slices.IsSorted(o.Layers) {
		return nil, fmt.Errorf("compile: layers %v do not ascend", o.Layers)
	}
	if len(outputs) == 0 {
		return nil, errors.New("compile: no outputs asked for")
	}
	roots := slices.Clone(outputs)
	for _, a := range o.Accumulate {
		roots = append(roots, a.Grad)
	}
	nodes, err := reach(roots)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	b := builder{o: o, valueOf: map[int64]int{}, stepOf: map[int64]int{}, named: map[string]int{}, layerOf: map[int]int{}}
	for _, n := range nodes {
		if err := b.add(n); err != nil {
			return nil, fmt.Errorf("compile: node %d (%s): %w", n.ID(), n.Name(), err)
		}
	}
	if err := b.finish(outputs); err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	p, err := b.ir.arrange(o)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return p, nil
}

// reach gives every node that the roots depend on, in the order of IDs: children have smaller IDs than their parents,
// so the order is topological and the same in every build of a graph.
func reach(roots G.Nodes) (G.Nodes, error) {
	seen := map[int64]bool{}
	var nodes, stack G.Nodes
	for i, n := range roots {
		if n == nil {
			return nil, fmt.Errorf("output or gradient %d is nil", i)
		}
		if n.Graph() != roots[0].Graph() {
			return nil, fmt.Errorf("output or gradient %d (%s) is of another graph than the first", i, n.Name())
		}
		stack = append(stack, n)
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n.ID()] {
			continue
		}
		seen[n.ID()] = true
		nodes = append(nodes, n)
		stack = append(stack, children(n)...)
	}
	slices.SortFunc(nodes, func(a, b *G.Node) int { return cmp.Compare(a.ID(), b.ID()) })
	return nodes, nil
}

// children are the operands of n in order, duplicates kept.
func children(n *G.Node) G.Nodes {
	var ns G.Nodes
	for it := n.Graph().From(n.ID()); it != nil && it.Next(); {
		ns = append(ns, it.Node().(*G.Node))
	}
	return ns
}

// builder turns nodes into values and steps.
type builder struct {
	ir
	o       Options
	valueOf map[int64]int  // node ID -> its (primary) value
	stepOf  map[int64]int  // node ID -> its step
	named   map[string]int // inputs by name -> value
	layerOf map[int]int    // input value -> layer in which its node was made, for naming backward steps
}

func (b *builder) add(n *G.Node) error {
	if n.Op() == nil {
		return b.input(n)
	}
	if parent, i, ok := op.SideOf(n); ok {
		b.valueOf[n.ID()] = b.steps[b.stepOf[parent.ID()]].out[i]
		return nil
	}
	if a, ok := op.Of(n); ok {
		return b.step(n, a)
	}
	if c, ok := n.Op().(interface{ Value() G.Value }); ok {
		return b.constant(n, c.Value())
	}
	return fmt.Errorf("operation %v of type %T is none of engine/op's; build the graph of those only", n.Op(), n.Op())
}

// stored is what a value of the graph is stored as.
func (b *builder) stored(d tensor.Dtype, stat bool) (kernels.Dtype, error) {
	switch {
	case d == tensor.Int || d == tensor.Int32 || d == tensor.Int64:
		return kernels.Int32, nil
	case d == tensor.Float32 && stat:
		return kernels.Float32, nil
	case d == tensor.Float32:
		return b.o.Activations, nil
	}
	return 0, fmt.Errorf("dtype %v has no storage; the graph is to be float32, with int32 for integers", d)
}

func (b *builder) value(v value) int {
	if v.Shape == nil {
		v.Shape = []int{}
	}
	b.values = append(b.values, v)
	return len(b.values) - 1
}

func (b *builder) input(n *G.Node) error {
	name := n.Name()
	if name == "" {
		return errors.New("an input without a name cannot be bound; give it one")
	}
	if _, ok := b.named[name]; ok {
		return errors.New("there is another input of this name; names must be unique")
	}
	d, err := b.stored(n.Dtype(), true)
	if err != nil {
		return err
	}
	if s, ok := b.o.Storage[name]; ok {
		if (s == kernels.Int32) != (d == kernels.Int32) {
			return fmt.Errorf("storage %v for a value that is %v in the graph", s, n.Dtype())
		}
		d = s
	}
	t := Type{Dtype: d, Shape: append([]int{}, n.Shape()...)}
	v := b.value(value{Type: t, kind: isInput, index: len(b.inputs)})
	b.inputs = append(b.inputs, Input{Name: name, Type: t})
	b.named[name], b.valueOf[n.ID()], b.layerOf[v] = v, v, b.layer(n.ID())
	return nil
}

func (b *builder) step(n *G.Node, a *op.Op) error {
	s := step{Step: Step{Kernel: a.Spec.Kernel(), Node: n.ID(), Layer: b.layer(n.ID())},
		cost: func(wanted []bool) op.Cost { return a.Spec.Cost(a.In, wanted) }}
	for _, c := range children(n) {
		v, ok := b.valueOf[c.ID()]
		if !ok {
			return fmt.Errorf("operand %d comes later in the graph than its reader", c.ID())
		}
		s.in = append(s.in, v)
		if w := b.values[v]; s.Weight == "" && w.kind == isInput && w.Dtype != kernels.Int32 {
			s.Weight = b.inputs[w.index].Name
		}
	}
	for i, t := range a.Out {
		d, err := b.stored(t.Dtype, t.Stat)
		if err != nil {
			return fmt.Errorf("%s, output %d: %w", s.Kernel.Name(), i, err)
		}
		s.out = append(s.out, b.value(value{Type: Type{Dtype: d, Shape: append([]int{}, t.Shape...)}}))
	}
	b.valueOf[n.ID()], b.stepOf[n.ID()] = s.out[0], len(b.steps)
	b.steps = append(b.steps, s)
	return nil
}

// layer is the index of the last layer that starts at or before the node, -1 before the first.
func (b *builder) layer(id int64) int {
	i, found := slices.BinarySearch(b.o.Layers, id)
	if !found {
		i--
	}
	return i
}
