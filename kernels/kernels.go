// Package kernels is the contract of every computation attune runs: one file an operation, with its
// formula, the order and shapes of its inputs and outputs, the tolerance of each dtype, and a plain-loop
// reference that is the definition all other implementations (kernels/cpu, kernels/cuda) are held to.
//
// Shapes use the letters of docs/glossary.md: T tokens of a micro-batch, D hidden size, H query heads,
// KV key/value heads, Dh head size, F feed-forward size, V vocabulary, I/O a linear's inputs/outputs, r LoRA rank.
//
// Two rules hold for every kernel of every backend. A nil output is not wanted and is not computed. No sum
// depends on the number of threads: work is split over outputs, or over chunks of fixed size added in order.
package kernels

import "fmt"

// Dtype is how a value is stored. Sums are always taken in float32 or wider, whatever the storage.
type Dtype uint8

const (
	Float32 Dtype = iota + 1
	BFloat16
	Float16
	Float64
	Int32
)

// Size is the number of bytes of one element.
func (d Dtype) Size() int64 {
	switch d {
	case BFloat16, Float16:
		return 2
	case Float32, Int32:
		return 4
	case Float64:
		return 8
	}
	panic(fmt.Sprintf("kernels: no size for dtype %d", d))
}

// String is the name torch and safetensors users know.
func (d Dtype) String() string {
	switch d {
	case Float32:
		return "float32"
	case BFloat16:
		return "bfloat16"
	case Float16:
		return "float16"
	case Float64:
		return "float64"
	case Int32:
		return "int32"
	}
	return fmt.Sprintf("dtype(%d)", d)
}

// Float is what the references compute in: float32 as the plain version of the tuned kernels, float64 as
// the oracle of gradients.
type Float interface{ float32 | float64 }

// Tensor is a dense row-major value: F holds floating-point elements, I integer ones; one of them is nil.
type Tensor[T Float] struct {
	Shape []int
	F     []T
	I     []int32
}

// Kernel is one operation with its attributes fixed. Inputs and outputs come in the order its type documents;
// an output that nobody reads is nil.
type Kernel interface {
	// Name is the key of every backend's table and the base name of the operation's files.
	Name() string
	// Tol is how far other implementations may stand from the reference.
	Tol() Tol
	// Float32 and Float64 are the reference: plain loops whose sums are taken in float64, rounded once at the end.
	// They check nothing: shapes are engine/op's to check, ids the caller's.
	Float32(in, out []*Tensor[float32])
	Float64(in, out []*Tensor[float64])
}

// Tol bounds the distance of a backend's result from the float64 reference fed the same stored inputs, for each
// storage dtype of the activations: |got-want| <= tol * (|want| + rms(want)), where rms is the root mean square of the
// whole output, because a sum that cancels is off by the size of its terms and not by its own. Outputs always stored in
// float32 are held to the same figure, as their inputs' products may be taken in the storage dtype.
type Tol struct{ Float32, BFloat16 float64 }

// Of is the tolerance for activations stored as d.
func (t Tol) Of(d Dtype) float64 {
	if d == BFloat16 {
		return t.BFloat16
	}
	return t.Float32
}

// wanted is output i, nil if nobody reads it.
func wanted[T Float](out []*Tensor[T], i int) []T {
	if i >= len(out) || out[i] == nil {
		return nil
	}
	return out[i].F
}
