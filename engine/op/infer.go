package op

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"
)

// What the Specs' Infer methods share: checks with both values in the message, and costs.

// shaped is a type of the given shape with x's dtype.
func (t Ty) shaped(dims ...int) Ty { return Ty{Dtype: t.Dtype, Shape: tensor.Shape(dims)} }

// stat is shaped, stored in float32 always.
func (t Ty) stat(dims ...int) Ty { return Ty{Dtype: t.Dtype, Shape: tensor.Shape(dims), Stat: true} }

// arity checks the number of inputs.
func arity(in []Ty, names ...string) error {
	if len(in) != len(names) {
		return fmt.Errorf("%d inputs, wants %d: %v", len(in), len(names), names)
	}
	return nil
}

// float checks that a value holds floating-point numbers in dims dimensions; dims < 0 = any number.
func float(name string, t Ty, dims int) error {
	if t.Dtype != tensor.Float32 && t.Dtype != tensor.Float64 {
		return fmt.Errorf("%s is %v, wants float32 (float64 in tests)", name, t.Dtype)
	}
	return rank(name, t, dims)
}

// integers checks that a value is a vector of n int32; n < 0 = any number.
func integers(name string, t Ty, n int) error {
	if t.Dtype != tensor.Int32 {
		return fmt.Errorf("%s is %v, wants int32", name, t.Dtype)
	}
	if err := rank(name, t, 1); err != nil {
		return err
	}
	if n >= 0 && t.Shape[0] != n {
		return fmt.Errorf("%s has %d elements, wants one for each of the %d tokens", name, t.Shape[0], n)
	}
	return nil
}

func rank(name string, t Ty, dims int) error {
	if dims >= 0 && len(t.Shape) != dims {
		return fmt.Errorf("%s has shape %v, wants %d dimensions", name, t.Shape, dims)
	}
	for _, d := range t.Shape {
		if d <= 0 {
			return fmt.Errorf("%s has shape %v; every dimension must be 1 or more", name, t.Shape)
		}
	}
	return nil
}

// shape checks that a value is floating-point and has exactly these dimensions.
func shape(name string, t Ty, dims ...int) error {
	if err := float(name, t, len(dims)); err != nil {
		return err
	}
	if !slices.Equal(t.Shape, dims) {
		return fmt.Errorf("%s has shape %v, wants %v", name, t.Shape, tensor.Shape(dims))
	}
	return nil
}

// first is the first error of several checks.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// rowsOf is a shape seen as a matrix: the first dimension, and the product of the others.
func rowsOf(s tensor.Shape) (rows, cols int) {
	if len(s) == 0 {
		return 1, 1
	}
	return s[0], s[1:].TotalSize()
}

// cost is a number of floating-point operations, and the bytes of all inputs and outputs, each counted once.
func cost(s Spec, in []Ty, flop int) Cost {
	out, err := s.Infer(in)
	if err != nil {
		return Cost{}
	}
	c := Cost{FLOP: int64(flop)}
	for _, ts := range [][]Ty{in, out} {
		for _, t := range ts {
			c.Bytes += int64(t.Shape.TotalSize()) * int64(t.Dtype.Size())
		}
	}
	return c
}
