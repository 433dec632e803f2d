package cpu

import (
	"fmt"
	"slices"

	"attune/kernels"
)

// operands checks that a kernel got as many as it takes, every input among them, in dtypes that the C bodies have.
func operands(in []View, inputs int, out []View, outputs int) error {
	if len(in) != inputs || len(out) != outputs {
		return fmt.Errorf("%d inputs and %d outputs, takes %d and %d", len(in), len(out), inputs, outputs)
	}
	for i, v := range in {
		if !v.wanted() {
			return fmt.Errorf("input %d is not there", i)
		}
	}
	for _, v := range slices.Concat(in, out) {
		if v.wanted() && v.Dtype != kernels.Float32 && v.Dtype != kernels.BFloat16 && v.Dtype != kernels.Int32 {
			return errDecline
		}
	}
	return nil
}

// floating checks the shape of an operand that is stored as float32 or bfloat16. An output that is not wanted passes.
func floating(what string, v View, shape ...int) error {
	if v.wanted() && (v.Dtype == kernels.Int32 || !slices.Equal(v.Shape, shape)) {
		return fmt.Errorf("%s is %s%v, must be floating-point %v", what, v.Dtype, v.Shape, shape)
	}
	return nil
}

// stored checks the shape of an operand that has one dtype always. An output that is not wanted passes.
func stored(what string, v View, d kernels.Dtype, shape ...int) error {
	if v.wanted() && (v.Dtype != d || !slices.Equal(v.Shape, shape)) {
		return fmt.Errorf("%s is %s%v, must be %s%v", what, v.Dtype, v.Shape, d, shape)
	}
	return nil
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

// firstError is the first that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// elements calls f with pieces of [0, n) large enough to be worth a worker's while.
func (e *Engine) elements(n int, f func(lo, hi int)) {
	e.chunks(n, 1<<15, func(_, lo, hi int) { f(lo, hi) })
}
