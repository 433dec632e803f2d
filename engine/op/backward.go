package op

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Loss is a Spec that Backward can start from: its first output is a scalar, and Grad is called with a nil grad, which
// stands for 1, so that no constant node is needed (gorgonia merges constants by their printed value).
type Loss interface {
	Spec
	// Loss does nothing; it marks the Spec.
	Loss()
}

// Selective is a Spec that needs less when not all gradients are wanted: Backward calls GradOf in place of Grad, with one
// flag per input.
type Selective interface {
	Spec
	GradOf(wanted []bool, in G.Nodes, out, grad *G.Node) (G.Nodes, error)
}

// Backward adds the gradients of loss by every node of wrt to the graph, in wrt's order: reverse-mode differentiation,
// one SymDiff for each node that a wrt node affects, in descending node ID, which is a reverse topological order because
// children are always made before their parents. Several gradients of one node (tied weights, residuals) are added in
// that order by Add. A node of wrt that does not affect the loss is an error.
func Backward(loss *G.Node, wrt G.Nodes) (G.Nodes, error) {
	o, ok := Of(loss)
	if ok {
		_, ok = o.Spec.(Loss)
	}
	if !ok {
		return nil, fmt.Errorf("backward: node %d (%v) is not a loss: start from linear_cross_entropy", loss.ID(), loss.Op())
	}
	order, inputs := reach(loss)
	affected := map[*G.Node]bool{} // by a node of wrt, along differentiable inputs
	for _, n := range wrt {
		affected[n] = true
	}
	for _, n := range order {
		for i, d := range diffWRT(n) {
			if d && affected[inputs[n][i]] {
				affected[n] = true
			}
		}
	}

	grads := map[*G.Node]*G.Node{} // of the loss by a node; none for the loss itself
	for _, n := range slices.Backward(order) {
		o, isOp := Of(n)
		if !affected[n] || !isOp {
			continue
		}
		g, ok := grads[n]
		if !ok && n != loss {
			continue
		}
		wanted := slices.Clone(diffWRT(n))
		for i, in := range inputs[n] {
			wanted[i] = wanted[i] && affected[in]
		}
		gs, err := o.gradients(wanted, inputs[n], n, g)
		if err != nil {
			return nil, fmt.Errorf("backward: %w", err)
		}
		for i, in := range inputs[n] {
			if !wanted[i] {
				continue
			}
			if before, ok := grads[in]; !ok {
				grads[in] = gs[i]
			} else if grads[in], err = Add(before, gs[i]); err != nil {
				return nil, fmt.Errorf("backward: sum the gradients of %s: %w", describe(in), err)
			}
		}
	}
	out := make(G.Nodes, len(wrt))
	for i, n := range wrt {
		if out[i] = grads[n]; out[i] == nil {
			return nil, fmt.Errorf("backward: %s does not affect the loss, or only where its operation says it is frozen", describe(n))
		}
	}
	return out, nil
}

// reach lists what the roots are computed from, themselves included, in ascending node ID, and the inputs of each in order.
func reach(roots ...*G.Node) (order G.Nodes, inputs map[*G.Node]G.Nodes) {
	inputs = map[*G.Node]G.Nodes{}
	todo := slices.Clone(roots)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, done := inputs[n]; done {
			continue
		}
		inputs[n] = children(n)
		order = append(order, n)
		todo = append(todo, inputs[n]...)
	}
	slices.SortFunc(order, func(a, b *G.Node) int { return int(a.ID() - b.ID()) })
	return order, inputs
}

// diffWRT is empty for inputs and side outputs.
func diffWRT(n *G.Node) []bool {
	if o, ok := Of(n); ok {
		return o.DiffWRT(len(o.In))
	}
	return nil
}

func describe(n *G.Node) string {
	return fmt.Sprintf("node %d %q of shape %v", n.ID(), n.Name(), n.Shape())
}

// Input adds an input of the graph: a weight, or what a batch holds. Names must be unique, because gorgonia merges inputs
// of the same name, type and shape. No dimensions make a scalar.
func Input(g *G.ExprGraph, name string, dtype tensor.Dtype, shape ...int) (*G.Node, error) {
	if name == "" {
		return nil, fmt.Errorf("input of shape %v has no name", shape)
	}
	if len(g.ByName(name)) > 0 {
		return nil, fmt.Errorf("the graph has an input named %q already", name)
	}
	for _, d := range shape {
		if d <= 0 {
			return nil, fmt.Errorf("input %q has shape %v; every dimension must be 1 or more", name, shape)
		}
	}
	if len(shape) == 0 {
		return G.NewScalar(g, dtype, G.WithName(name)), nil
	}
	return G.NewTensor(g, dtype, len(shape), G.WithShape(shape...), G.WithName(name)), nil
}
