package op_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"attune/engine/op"
	"attune/engine/op/optest"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// small is a transformer of two layers with LoRA on every linear, its embedding tied to its head, built of all training
// operations: what the gradient checks of a whole model run on.
type small struct {
	g      *G.ExprGraph
	loss   *G.Node
	names  []string
	params map[string]*G.Node
	values map[*G.Node]*kernels.Tensor[float64]
	err    error
	rand   uint32
}

const (
	smallTokens, smallVocab, smallWidth    = 7, 11, 6
	smallHeads, smallKV, smallDh, smallFFN = 3, 1, 4, 5
	smallRank                              = 2
)

func (m *small) uniform() float64 {
	m.rand++
	return float64(kernels.Uniform(1, 2, m.rand))*2 - 1
}

func (m *small) param(name string, dims ...int) *G.Node {
	n, err := op.Input(m.g, name, tensor.Float64, dims...)
	m.keep(err)
	v := make([]float64, tensor.Shape(dims).TotalSize())
	for i := range v {
		v[i] = m.uniform()
	}
	m.names, m.params[name], m.values[n] = append(m.names, name), n, &kernels.Tensor[float64]{Shape: dims, F: v}
	return n
}

func (m *small) ints(name string, v ...int32) *G.Node {
	n, err := op.Input(m.g, name, tensor.Int32, len(v))
	m.keep(err)
	m.values[n] = &kernels.Tensor[float64]{Shape: []int{len(v)}, I: v}
	return n
}

func (m *small) keep(err error) {
	if m.err == nil {
		m.err = err
	}
}

func (m *small) node(n *G.Node, err error) *G.Node {
	m.keep(err)
	if m.err != nil {
		panic(m.err) // a mistake of the test itself
	}
	return n
}

func (m *small) linear(path string, x, keys *G.Node, in, out, heads int) *G.Node {
	k := kernels.Linear{Bias: true, Rank: smallRank, Scale: 0.7, Dropout: 0.25, Salt: m.rand}
	ins := []*G.Node{x, m.param(path+".weight", out, in), m.param(path+".bias", out),
		m.param(path+".lora_A", smallRank, in), m.param(path+".lora_B", out, smallRank), keys}
	if heads > 0 {
		return m.node(op.LinearHeads(k, heads, ins...))
	}
	return m.node(op.Linear(k, ins...))
}

func newSmall() *small {
	m := &small{g: G.NewGraph(), params: map[string]*G.Node{}, values: map[*G.Node]*kernels.Tensor[float64]{}}
	ids := m.ints("ids", 3, 1, 4, 1, 5, 9, 0)
	positions := m.ints("positions", 0, 1, 2, 0, 1, 2, 0)
	segments := m.ints("segments", 0, 0, 0, 1, 1, 1, -1)
	targets := m.ints("targets", 1, 4, 0, 5, 9, 2, 0)
	keys := m.ints("keys", 11, -12, 13, 14, 15, 16, 17)
	weights := m.param("weights", smallTokens)
	m.values[weights].F = []float64{0.25, 0.25, 0, 0.125, 0.25, 0.125, 0}
	table := m.param("embed", smallVocab, smallWidth)
	x := m.node(op.Embed(table, ids))
	freq := []float64{1, 0.01}
	for l := range 2 {
		p := fmt.Sprintf("layers.%d.", l)
		h := m.node(op.RMSNorm(x, m.param(p+"norm1", smallWidth), 1e-5))
		q := m.linear(p+"q", h, keys, smallWidth, smallHeads*smallDh, smallHeads)
		k := m.linear(p+"k", h, keys, smallWidth, smallKV*smallDh, smallKV)
		v := m.linear(p+"v", h, keys, smallWidth, smallKV*smallDh, smallKV)
		q = m.node(op.RMSNorm(q, m.param(p+"q_norm", smallDh), 1e-5))
		q, k = m.node(op.RoPE(q, positions, freq, 1)), m.node(op.RoPE(k, positions, freq, 1))
		o := m.node(op.Attention(q, k, v, segments, 0.5, 2*l, float64(3*l)))
		x = m.node(op.Add(x, m.linear(p+"o", o, keys, smallHeads*smallDh, smallWidth, 0)))
		h = m.node(op.RMSNorm(x, m.param(p+"norm2", smallWidth), 1e-5))
		gate, up := m.linear(p+"gate", h, keys, smallWidth, smallFFN, 0), m.linear(p+"up", h, keys, smallWidth, smallFFN, 0)
		h = m.node(op.SwiGLU(kernels.Activations()[l], gate, up))
		x = m.node(op.Add(x, m.linear(p+"down", h, keys, smallFFN, smallWidth, 0)))
	}
	x = m.node(op.RMSNorm(x, m.param("norm", smallWidth), 1e-5))
	m.loss = m.node(op.LinearCrossEntropy(kernels.LinearCrossEntropy{SoftCap: 4}, x, table, targets, weights))
	return m
}

func (m *small) trained() (wrt G.Nodes) {
	for _, n := range m.names {
		if n != "weights" {
			wrt = append(wrt, m.params[n])
		}
	}
	return wrt
}

// Every gradient of the small model by our sweep equals central differences of the loss, in float64.
func TestModelGradientsEqualCentralDifferences(t *testing.T) {
	m := newSmall()
	wrt := m.trained()
	grads, err := op.Backward(m.loss, wrt)
	if err != nil {
		t.Fatal(err)
	}
	got := optest.Tape(t, grads, m.values)
	loss := newSmall()
	at := func() float64 {
		v, err := op.Evaluate(G.Nodes{loss.loss}, loss.values)
		if err != nil {
			t.Fatal(err)
		}
		return v[0].F[0]
	}
	worst, checked := 0.0, 0
	for i, name := range m.names[1:] {
		v := loss.values[loss.params[name]].F
		for j := range v {
			const h = 1e-5
			x := v[j]
			v[j] = x + h
			up := at()
			v[j] = x - h
			down := at()
			v[j] = x
			checked++
			d := math.Abs(got[i][j] - (up-down)/(2*h))
			worst = max(worst, d)
			if d > 1e-7 {
				t.Errorf("%s[%d]: %g by differentiation, %g by differences", name, j, got[i][j], (up-down)/(2*h))
			}
		}
	}
	t.Logf("%d gradients, worst difference %.2g", checked, worst)
}

// TapeMachine and Evaluate run the same graph to the same bits, in float64.
func TestTapeMachineEqualsEvaluate(t *testing.T) {
	m := newSmall()
	grads, err := op.Backward(m.loss, m.trained())
	if err != nil {
		t.Fatal(err)
	}
	roots := append(G.Nodes{m.loss}, grads...)
	got := optest.Tape(t, roots, m.values)
	want, err := op.Evaluate(roots, m.values)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !slices.Equal(got[i], want[i].F) {
			t.Errorf("root %d differs", i)
		}
	}
}

// Our sweep and gorgonia's own differentiation of the same model agree to the last rounding.
func TestModelGradientsEqualGorgonias(t *testing.T) {
	ours, theirs := newSmall(), newSmall()
	a, err := op.Backward(ours.loss, ours.trained())
	if err != nil {
		t.Fatal(err)
	}
	b, err := G.Grad(theirs.loss, theirs.trained()...)
	if err != nil {
		t.Fatal(err)
	}
	got := optest.Tape(t, append(G.Nodes{ours.loss}, a...), ours.values)
	want := optest.Tape(t, append(G.Nodes{theirs.loss}, b...), theirs.values)
	for i := range want {
		for j := range want[i] {
			if d := math.Abs(got[i][j] - want[i][j]); d > 1e-14 {
				t.Errorf("gradient %d[%d]: ours %g, gorgonia's %g", i-1, j, got[i][j], want[i][j])
			}
		}
	}
}
