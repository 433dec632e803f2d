package model

import (
	"math"
	"testing"

	"attune/engine/nn"
	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// run computes the nodes wanted with the references in float32, in ID order: the plainest executor there can be. Inputs
// and weights come by name; caches are kept in values from call to call.
func run(t *testing.T, g *G.ExprGraph, values map[string]*kernels.Tensor[float32], wanted ...*G.Node) []*kernels.Tensor[float32] {
	t.Helper()
	type output struct {
		node *G.Node
		i    int
	}
	have := map[output]*kernels.Tensor[float32]{}
	at := func(n *G.Node) *kernels.Tensor[float32] {
		if p, i, ok := op.SideOf(n); ok {
			return have[output{p, i}]
		}
		return have[output{n, 0}]
	}
	for _, n := range g.AllNodes() {
		if n.Op() == nil {
			v, ok := values[n.Name()]
			if !ok {
				t.Fatalf("no value for input %q", n.Name())
			}
			have[output{n, 0}] = v
			continue
		}
		o, ok := op.Of(n)
		if !ok {
			continue
		}
		var in, out []*kernels.Tensor[float32]
		for it := g.From(n.ID()); it.Next(); {
			in = append(in, at(it.Node().(*G.Node)))
		}
		for i, ty := range o.Out {
			v := &kernels.Tensor[float32]{Shape: ty.Shape, F: make([]float32, ty.Shape.TotalSize())}
			have[output{n, i}] = v
			out = append(out, v)
		}
		o.Spec.Kernel().Float32(in, out)
	}
	var outs []*kernels.Tensor[float32]
	for _, n := range wanted {
		outs = append(outs, at(n))
	}
	return outs
}

func ints(v ...int32) *kernels.Tensor[float32] {
	return &kernels.Tensor[float32]{Shape: []int{len(v)}, I: v}
}

// bindWeights adds the checkpoint's weights to values.
func bindWeights(t *testing.T, ck *Checkpoint, b *nn.Builder, values map[string]*kernels.Tensor[float32]) {
	t.Helper()
	for _, p := range b.Params() {
		w, err := ck.Weight(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := w.As(kernels.Float32)
		if err != nil {
			t.Fatal(err)
		}
		f := make([]float32, len(data)/4)
		for i, u := range view[uint32](data) {
			f[i] = math.Float32frombits(u)
		}
		values[p.Name] = &kernels.Tensor[float32]{Shape: p.Shape, F: f}
	}
}

// lastLogits are the logits after the last of the ids.
func lastLogits(t *testing.T, ck *Checkpoint, ids []int32) []float32 {
	t.Helper()
	b := nn.NewBuilder(G.NewGraph(), nn.Options{Tokens: len(ids)})
	logits := ck.Config.Logits(b)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	values := batch(ids)
	values[nn.Rows] = ints(int32(len(ids) - 1))
	bindWeights(t, ck, b, values)
	return run(t, b.Graph(), values, logits)[0].F
}

// batch is one example: positions from 0, one segment, every next token a target of weight 1.
func batch(ids []int32) map[string]*kernels.Tensor[float32] {
	n := len(ids)
	pos, seg, targets, weights := make([]int32, n), make([]int32, n), make([]int32, n), make([]float32, n)
	for i := range ids {
		pos[i] = int32(i)
		if i+1 < n {
			targets[i], weights[i] = ids[i+1], 1
		}
	}
	return map[string]*kernels.Tensor[float32]{
		nn.IDs: ints(ids...), nn.Positions: ints(pos...), nn.Segments: ints(seg...), nn.Targets: ints(targets...),
		nn.Weights: {Shape: []int{n}, F: weights},
	}
}

// tokenNLL is nll[i] = -ln p(ids[i+1] | ids[:i+1]).
func tokenNLL(t *testing.T, ck *Checkpoint, ids []int32) []float32 {
	t.Helper()
	b := nn.NewBuilder(G.NewGraph(), nn.Options{Tokens: len(ids)})
	_, nll := ck.Config.Train(b)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	values := batch(ids)
	bindWeights(t, ck, b, values)
	return run(t, b.Graph(), values, nll)[0].F[:len(ids)-1]
}

func near(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, at := 0.0, 0
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); d > worst || d != d {
			worst, at = d, i
		}
	}
	if !(worst <= tol) {
		t.Errorf("%s: value %d is %g, want %g (off by %.3g, allowed %.3g)", what, at, got[at], want[at], worst, tol)
	}
}
