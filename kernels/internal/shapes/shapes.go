// Package shapes checks that a kernel's operands fit together, for all backends: they refuse the same with the same words.
package shapes

import "attune/kernels"

// Operand is how one input or output lies in memory: dense, row-major. The zero Operand is an output that is not wanted.
type Operand struct {
	Dtype kernels.Dtype
	Shape []int
}

// Check says what is wrong with the operands of k, or nil: their number, an input that is missing, dtypes that are not
// what the kernel documents (floating-point ones may be float32 or bfloat16), shapes that do not belong together.
// Contents are not looked at.
func Check(k kernels.Kernel, in, out []Operand) error {
	return nil
}
