// Package exec runs a gorgonia graph of fused operations (engine/op): Compile makes a Program, the list of steps with
// a place in memory for every value, and a Runner takes it through a Backend as often as wanted.
//
// Everything is settled before the first run. The order is that of node IDs, which is topological. A value lives from
// the step that makes it to the last that reads it; values whose lives do not meet share memory, in one arena that is
// allocated once. How a value is stored (float32, bfloat16) is decided here and not in the graph. Recompute (activation
// checkpointing, Chen et al. 2016, arXiv:1604.06174) rewrites the list of steps: a layer's forward steps stand a second
// time before its backward steps, and only its boundary is kept in between.
package exec

import (
	"fmt"

	"attune/engine/op"
	"attune/kernels"
)

// Program is a compiled graph. It is immutable and may serve several runners.
type Program struct {
	ir
	at     []int64 // byte offset in the arena of every value that lives there
	plan   Plan
	allocs []alloc
}

// Input is a value that must be bound before a run.
type Input struct {
	Name string
	Type
	// Written is true for the buffers that gradients are accumulated into.
	Written bool
}

// Step is one kernel of the program as the outside sees it.
type Step struct {
	Kernel kernels.Kernel
	// Node is the ID of the graph node the step comes from.
	Node int64
	// Layer is the index of its layer, -1 outside of all.
	Layer int
	// Weight is the name of the first floating-point input of the graph that the step reads, "" if it reads none.
	Weight string
	// Backward is true behind the loss, Again for a forward step that is run a second time.
	Backward, Again bool
}

// String names the step in errors and traces: "linear model.layers.3.mlp.up_proj.weight (layer 3)".
func (s Step) String() string {
	t := s.Kernel.Name()
	if s.Weight != "" {
		t += " " + s.Weight
	}
	if s.Layer >= 0 {
		t += fmt.Sprintf(" (layer %d)", s.Layer)
	}
	if s.Again {
		t += ", again"
	}
	return t
}

// value kinds: where a value's memory is.
type kind uint8

const (
	inArena kind = iota
	isInput      // bound from outside
	isConst      // uploaded once by the runner
)

type value struct {
	Type
	kind  kind
	index int // in ir.inputs or ir.consts
}

const unwanted = -1

type step struct {
	Step
	in, out []int                       // values; unwanted = an output nobody reads
	cost    func(wanted []bool) op.Cost // nil for an accumulation
	scratch int64                       // bytes
	place   int64                       // offset of the scratch in the arena
}

// ir is the program before memory is planned.
type ir struct {
	values  []value
	steps   []step
	inputs  []Input
	consts  [][]byte
	outputs []int // values
	layers  int   // recomputable layers
}

// Inputs are the values to bind, in the order of the graph; accumulation buffers behind them.
func (p *Program) Inputs() []Input { return append([]Input(nil), p.inputs...) }

// Input is the input called name; false if the program does not read it.
func (p *Program) Input(name string) (Input, bool) {
	for _, in := range p.inputs {
		if in.Name == name {
			return in, true
		}
	}
	return Input{}, false
}

// Outputs are the types of the outputs as asked for.
func (p *Program) Outputs() []Type {
	ts := make([]Type, len(p.outputs))
	for i, v := range p.outputs {
		ts[i] = p.values[v].Type
	}
	return ts
}

// Steps are the program's steps in order.
func (p *Program) Steps() []Step {
	ss := make([]Step, len(p.steps))
	for i, s := range p.steps {
		ss[i] = s.Step
	}
	return ss
}

// Plan is what the program takes.
func (p *Program) Plan() Plan { return p.plan }
