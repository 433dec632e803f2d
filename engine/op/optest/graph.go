package optest

import (
	"fmt"
	"math"
	"slices"

	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// graph is a case as a graph with a loss and gradients, in float64, and the values of its inputs.
type graph struct {
	node    *G.Node // the case's operation
	loss    *G.Node // nil if the operation has no gradient
	wrt     G.Nodes
	grads   G.Nodes
	inputs  G.Nodes // in the order of the case
	values  map[*G.Node]*kernels.Tensor[float64]
	operand map[*G.Node]op.Operand
}

// differentiate makes the gradients of a loss: op.Backward, or gorgonia's Grad as the oracle.
type differentiate func(loss *G.Node, wrt G.Nodes) (G.Nodes, error)

func gorgoniaGrad(loss *G.Node, wrt G.Nodes) (G.Nodes, error) { return G.Grad(loss, wrt...) }

// build makes the graph of a case. An operation that is not a loss itself is followed by a dot product with random
// coefficients, so that every element of its result counts.
func build(c op.Case, diff differentiate) (*graph, error) {
	g := &graph{values: map[*G.Node]*kernels.Tensor[float64]{}, operand: map[*G.Node]op.Operand{}}
	eg := G.NewGraph()
	for i, o := range c.In {
		dt := tensor.Float64
		if o.Ints != nil {
			dt = tensor.Int32
		}
		n, err := op.Input(eg, fmt.Sprintf("input%d", i), dt, o.Shape...)
		if err != nil {
			return nil, err
		}
		g.inputs, g.values[n], g.operand[n] = append(g.inputs, n), values(o, uint32(i)), o
	}
	var err error
	if g.node, err = op.Apply(c.Spec, g.inputs...); err != nil {
		return nil, err
	}
	flags := c.Spec.DiffWRT()
	for i, d := range flags {
		if d && !c.In[i].Frozen {
			g.wrt = append(g.wrt, g.inputs[i])
		}
	}
	if len(g.wrt) == 0 {
		return g, nil
	}
	g.loss = g.node
	if _, ok := c.Spec.(op.Loss); !ok {
		shape := op.TypeOf(g.node).Shape
		coef, err := op.Input(eg, "coefficients", tensor.Float64, shape...)
		if err != nil {
			return nil, err
		}
		g.values[coef] = values(op.Operand{Shape: shape}, 99)
		if g.loss, err = op.Apply(dot{}, g.node, coef); err != nil {
			return nil, err
		}
	}
	g.grads, err = diff(g.loss, g.wrt)
	return g, err
}

// values are the numbers of an example input; seed tells inputs apart.
func values(o op.Operand, seed uint32) *kernels.Tensor[float64] {
	t := &kernels.Tensor[float64]{Shape: o.Shape}
	if o.Ints != nil {
		t.I = slices.Clone(o.Ints)
		return t
	}
	if o.Values != nil {
		t.F = slices.Clone(o.Values)
		return t
	}
	t.F = make([]float64, tensor.Shape(o.Shape).TotalSize())
	for i := range t.F {
		u := 2*float64(kernels.Uniform(seed, 1, uint32(i))) - 1
		if o.Fill != nil {
			u = o.Fill(u)
		}
		t.F[i] = u
	}
	return t
}

// dot is Σ y·coefficients: a loss for operations that have none. It exists in the suite only.
type dot struct{}

func (dot) Kernel() kernels.Kernel { return dotKernel{} }

func (dot) Infer(in []op.Ty) ([]op.Ty, error) {
	return []op.Ty{{Dtype: in[0].Dtype, Shape: tensor.ScalarShape(), Stat: true}}, nil
}

func (dot) Loss()                        {}
func (dot) DiffWRT() []bool              { return []bool{true, false} }
func (dot) Cost([]op.Ty, []bool) op.Cost { return op.Cost{} }

func (dot) Grad(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	if grad == nil {
		return G.Nodes{in[1], nil}, nil
	}
	d, err := op.ScaleBy(in[1], grad)
	return G.Nodes{d, nil}, err
}

type dotKernel struct{}

func (dotKernel) Name() string     { return "dot" }
func (dotKernel) Tol() kernels.Tol { return kernels.Tol{} }

func (dotKernel) Float32(in, out []*kernels.Tensor[float32]) { runDot(in, out) }
func (dotKernel) Float64(in, out []*kernels.Tensor[float64]) { runDot(in, out) }

// What a rounding takes from the sum is kept beside it (Neumaier 1974): of 100,000 terms it would show in central differences.
func runDot[T kernels.Float](in, out []*kernels.Tensor[T]) {
	var sum, lost float64
	for i, y := range in[0].F {
		x := float64(y) * float64(in[1].F[i])
		more := sum + x
		if math.Abs(sum) >= math.Abs(x) {
			lost += sum - more + x
		} else {
			lost += x - more + sum
		}
		sum = more
	}
	out[0].F[0] = T(sum + lost)
}
