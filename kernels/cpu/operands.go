package cpu

import (
	"fmt"

	"attune/kernels/internal/shapes"
)

// operands is how they lie, for shapes.Check; there says which have contents, or will have.
func operands(vs []View, there func(View) bool) []shapes.Operand {
	os := make([]shapes.Operand, len(vs))
	for i, v := range vs {
		if there(v) {
			os[i] = shapes.Operand{Dtype: v.Dtype, Shape: v.Shape}
		}
	}
	return os
}

// within checks that indices lie in [least, n).
func within(what string, indices []int32, least, n int) error {
	for i, x := range indices {
		if int(x) < least || int(x) >= n {
			return fmt.Errorf("%s[%d] is %d, must be in [%d, %d)", what, i, x, least, n)
		}
	}
	return nil
}

// elements calls f with pieces of [0, n) large enough to be worth a worker's while.
func (e *Engine) elements(n int, f func(lo, hi int)) {
	e.chunks(n, 1<<15, func(_, lo, hi int) { f(lo, hi) })
}
