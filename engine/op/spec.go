// Package op puts attune's fused operations into a gorgonia graph: one adapter (op.go) implements gorgonia.SDOp for all
// of them, each operation is a small Spec in a file of its own, backward.go is the reverse sweep, table.go lists them.
package op

import (
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Ty is the logical type of one input or output of an operation. The graph is float32 throughout (float64 in tests);
// what a value is stored as is engine/exec's decision.
type Ty struct {
	Dtype tensor.Dtype
	Shape tensor.Shape
	// Stat marks an output that is stored in float32 whatever the precision policy: norms' statistics, losses,
	// LoRA's inner products, gradients of parameters.
	Stat bool
}

// Cost is what one run of an operation takes, for plans.
type Cost struct {
	FLOP  int64
	Bytes int64 // of all inputs and outputs in the graph's dtypes, each counted once
}

// Spec is one operation: what it is called, what comes out of it, how it is differentiated.
type Spec interface {
	// Kernel is the operation with its attributes; its Name is the operation's.
	Kernel() kernels.Kernel
	// Infer gives the type of every output: [0] primary, the rest side outputs; errors name both values.
	Infer(in []Ty) (out []Ty, err error)
	// DiffWRT is one flag per input: false where the output has no derivative (integers) or attune takes none (the
	// weights of targets). Whether a weight is trained is not said here but by Backward's wrt. nil = none.
	DiffWRT() []bool
	// Grad gives one node per input (nil where DiffWRT is false); it may read Side(out, i). What nobody reads of it is
	// never computed.
	Grad(in G.Nodes, out, grad *G.Node) (G.Nodes, error)
	// Cost is of one run in which the outputs wanted are made.
	Cost(in []Ty, wanted []bool) Cost
}
