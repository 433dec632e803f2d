package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// Evaluate computes roots with the references, node by node in ascending ID: the plainest way to run a graph, which
// tests hold the others to. inputs gives every input that the roots depend on; tensors are read in place (and written
// where the operation is documented to write). Only outputs that somebody reads are computed.
func Evaluate[T kernels.Float](roots G.Nodes, inputs map[*G.Node]*kernels.Tensor[T]) ([]*kernels.Tensor[T], error) {
	order, childrenOf := reach(roots...)
	values := map[*G.Node]*kernels.Tensor[T]{}
	sides := map[*G.Node]map[int]*kernels.Tensor[T]{}
	for _, n := range order {
		if parent, i, ok := SideOf(n); ok {
			if sides[parent] == nil {
				sides[parent] = map[int]*kernels.Tensor[T]{}
			}
			t := newTensor[T](TypeOf(n))
			values[n], sides[parent][i] = t, t
		}
	}
	for _, n := range order {
		o, ok := Of(n)
		switch {
		case ok:
		case values[n] != nil: // a side output, filled when its parent ran
			continue
		case inputs[n] == nil:
			return nil, fmt.Errorf("evaluate: no value for %s", describe(n))
		default:
			values[n] = inputs[n]
			continue
		}
		var in []*kernels.Tensor[T]
		for _, c := range childrenOf[n] {
			in = append(in, values[c])
		}
		out := make([]*kernels.Tensor[T], len(o.Out))
		out[0] = newTensor[T](o.Out[0])
		values[n] = out[0]
		for i, t := range sides[n] {
			out[i] = t
		}
		reference(o.Spec.Kernel(), in, out)
	}
	res := make([]*kernels.Tensor[T], len(roots))
	for i, r := range roots {
		res[i] = values[r]
	}
	return res, nil
}

func newTensor[T kernels.Float](t Ty) *kernels.Tensor[T] {
	return &kernels.Tensor[T]{Shape: t.Shape, F: make([]T, t.Shape.TotalSize())}
}

// reference runs the reference of T's width.
func reference[T kernels.Float](k kernels.Kernel, in, out []*kernels.Tensor[T]) {
	switch in := any(in).(type) {
	case []*kernels.Tensor[float32]:
		k.Float32(in, any(out).([]*kernels.Tensor[float32]))
	case []*kernels.Tensor[float64]:
		k.Float64(in, any(out).([]*kernels.Tensor[float64]))
	}
}
