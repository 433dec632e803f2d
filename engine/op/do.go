package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Do implements gorgonia.Op with the reference, for gorgonia's own machines in tests; training runs engine/exec. The
// operation's float type is its first output's. One Op must not run in two machines at once: side outputs are kept in it.
func (o *Op) Do(inputs ...G.Value) (G.Value, error) {
	var err error
	switch dt := o.Out[0].Dtype; dt {
	case tensor.Float32:
		o.stash, err = do(o, inputs, func(v float32) G.Value { return G.NewF32(v) })
	case tensor.Float64:
		o.stash, err = do(o, inputs, func(v float64) G.Value { return G.NewF64(v) })
	default:
		err = fmt.Errorf("no reference for dtype %v", dt)
	}
	if err != nil {
		return nil, fmt.Errorf("run %v: %w", o, err)
	}
	return o.stash[0], nil
}

func do[T kernels.Float](o *Op, inputs []G.Value, scalar func(T) G.Value) ([]G.Value, error) {
	in := make([]*kernels.Tensor[T], len(inputs))
	for i, v := range inputs {
		t, err := fromValue[T](v, o.In[i].Shape)
		if err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
		in[i] = t
	}
	out := make([]*kernels.Tensor[T], len(o.Out))
	for i, t := range o.Out {
		if i == 0 || o.side[i] {
			out[i] = newTensor[T](t)
		}
	}
	reference(o.Spec.Kernel(), in, out)
	values := make([]G.Value, len(out))
	for i, t := range out {
		switch {
		case t == nil:
		case len(t.Shape) == 0:
			values[i] = scalar(t.F[0])
		default:
			values[i] = tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(t.F))
		}
	}
	return values, nil
}

// fromValue reads a gorgonia value without a copy where it is a tensor. Values of one element arrive as a scalar.
func fromValue[T kernels.Float](v G.Value, shape tensor.Shape) (*kernels.Tensor[T], error) {
	t := &kernels.Tensor[T]{Shape: shape}
	switch d := v.Data().(type) {
	case []T:
		t.F = d
	case T:
		t.F = []T{d}
	case []int32:
		t.I = d
	case int32:
		t.I = []int32{d}
	default:
		return nil, fmt.Errorf("value holds %T, not int32 or %T", d, t.F)
	}
	if n := max(len(t.F), len(t.I)); n != shape.TotalSize() {
		return nil, fmt.Errorf("value has %d elements, shape %v needs %d", n, shape, shape.TotalSize())
	}
	return t, nil
}
