package op_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Equal operations on equal inputs stay two nodes: gorgonia would merge them, and two dropouts would become one.
func TestEqualOperationsAreNotMerged(t *testing.T) {
	g := G.NewGraph()
	x := must(op.Input(g, "x", tensor.Float64, 2, 3))
	a, b := must(op.Add(x, x)), must(op.Add(x, x))
	if a == b {
		t.Error("two additions became one node")
	}
	w := must(op.Input(g, "w", tensor.Float64, 3))
	n, m := must(op.RMSNorm(a, w, 1)), must(op.RMSNorm(a, w, 1))
	if op.Side(n, 1) == op.Side(m, 1) {
		t.Error("side outputs of two norms became one node")
	}
	rstd, again := op.Side(n, 1), op.Side(n, 1)
	if rstd != again {
		t.Error("the side output of one norm is two nodes")
	}
	parent, index, ok := op.SideOf(rstd)
	if !ok || parent != n || index != 1 {
		t.Errorf("side output 1 of node %d is told to be output %d of %v, %v", n.ID(), index, parent, ok)
	}
	if ty := op.TypeOf(rstd); !ty.Stat || !slices.Equal(ty.Shape, []int{2}) {
		t.Errorf("rstd has type %+v", ty)
	}
}

func TestSideOfAnInputPanics(t *testing.T) {
	g := G.NewGraph()
	x := must(op.Input(g, "x", tensor.Float64, 2, 3))
	for name, side := range map[string]func(){
		"an input":      func() { op.Side(x, 1) },
		"beyond":        func() { op.Side(must(op.Add(x, x)), 1) },
		"not secondary": func() { op.Side(must(op.Add(x, x)), 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			side()
		}()
	}
}

func TestInputsAreUnique(t *testing.T) {
	g := G.NewGraph()
	must(op.Input(g, "w", tensor.Float64, 2, 3))
	for _, c := range []struct {
		name  string
		shape []int
		error string
	}{
		{"w", []int{5}, `an input named "w" already`},
		{"", []int{5}, "has no name"},
		{"v", []int{5, 0}, "every dimension must be 1 or more"},
	} {
		if _, err := op.Input(g, c.name, tensor.Float64, c.shape...); err == nil || !strings.Contains(err.Error(), c.error) {
			t.Errorf("%q %v: error %v, want one with %q", c.name, c.shape, err, c.error)
		}
	}
}

// broken is an operation whose gradients are wrong in a way that the adapter must notice.
type broken struct {
	grads func(in G.Nodes) (G.Nodes, error)
	flags []bool
}

func (broken) Kernel() kernels.Kernel                           { return kernels.Add{} }
func (broken) Infer(in []op.Ty) ([]op.Ty, error)                { return in[:1], nil }
func (b broken) DiffWRT() []bool                                { return b.flags }
func (b broken) Grad(in G.Nodes, _, _ *G.Node) (G.Nodes, error) { return b.grads(in) }
func (broken) Cost([]op.Ty, []bool) op.Cost                     { return op.Cost{} }

func TestTheAdapterChecksGradients(t *testing.T) {
	both := []bool{true, true}
	errBroken := errors.New("cannot")
	for name, c := range map[string]struct {
		spec  broken
		error string
	}{
		"missing":    {broken{func(G.Nodes) (G.Nodes, error) { return G.Nodes{nil, nil}, nil }, both}, "gradient of add: none for input 0"},
		"too few":    {broken{func(G.Nodes) (G.Nodes, error) { return nil, nil }, both}, "0 nodes for 2 inputs"},
		"misshapen":  {broken{func(in G.Nodes) (G.Nodes, error) { return G.Nodes{in[0], in[0]}, nil }, both}, "input 1 has shape (3, 2), its gradient (2, 3)"},
		"failing":    {broken{func(G.Nodes) (G.Nodes, error) { return nil, errBroken }, both}, "gradient of add: cannot"},
		"wrong flag": {broken{nil, []bool{true}}, "DiffWRT has 1 flags for 2 inputs"},
	} {
		g := G.NewGraph()
		x, y := must(op.Input(g, "x", tensor.Float64, 2, 3)), must(op.Input(g, "y", tensor.Float64, 3, 2))
		n, err := op.Apply(c.spec, x, y)
		if err == nil {
			loss, _ := head(g, n)
			_, err = op.Backward(loss, G.Nodes{x, y})
		}
		if err == nil || !strings.Contains(err.Error(), c.error) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.error)
		}
	}
}

func TestApplyNamesTheOperation(t *testing.T) {
	g := G.NewGraph()
	x := must(op.Input(g, "x", tensor.Float32, 2, 3))
	w := must(op.Input(g, "w", tensor.Float32, 4))
	if _, err := op.RMSNorm(x, w, 1e-5); err == nil || !strings.HasPrefix(err.Error(), "rmsnorm: ") {
		t.Errorf("error %v does not begin with the operation", err)
	}
	if _, err := op.RMSNorm(x, nil, 1e-5); err == nil || err.Error() != "rmsnorm: input 1 is nil" {
		t.Errorf("nil input: error %v", err)
	}
	if _, err := op.Linear(kernels.Linear{}); err == nil {
		t.Error("an operation without inputs was accepted")
	}
}

func TestEvaluateNamesTheMissingInput(t *testing.T) {
	g := G.NewGraph()
	x := must(op.Input(g, "x", tensor.Float64, 2, 3))
	y := must(op.Add(x, x))
	if _, err := op.Evaluate(G.Nodes{y}, map[*G.Node]*kernels.Tensor[float64]{}); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("error %v does not name the input", err)
	}
}

// Work of the operations that matter, counted by hand.
func TestCost(t *testing.T) {
	g := G.NewGraph()
	in := func(name string, dims ...int) *G.Node { return must(op.Input(g, name, tensor.Float32, dims...)) }
	x, w := in("x", 10, 6), in("w", 8, 6)
	q, k := in("q", 10, 4, 2), in("k", 10, 2, 2)
	segments := must(op.Input(g, "segments", tensor.Int32, 10))
	for name, c := range map[string]struct {
		node *G.Node
		want op.Cost
	}{
		"linear": {must(op.Linear(kernels.Linear{}, x, w)), op.Cost{FLOP: 2 * 10 * 6 * 8, Bytes: 4 * (60 + 48 + 80)}},
		"LoRA": {must(op.Linear(kernels.Linear{Rank: 3}, x, w, in("A", 3, 6), in("B", 8, 3))),
			op.Cost{FLOP: 2*10*6*8 + 2*10*3*(6+8), Bytes: 4 * (60 + 48 + 80 + 18 + 24 + 30)}},
		// 55 pairs of a causal row of 10, 4 heads, q·k and p·v of size 2
		"attention": {must(op.Attention(q, k, k, segments, 1, 0, 0)), op.Cost{FLOP: 55 * 4 * 2 * 2 * 2, Bytes: 4 * (80 + 40 + 40 + 10 + 80 + 40)}},
		// a window of 3: 1 + 2 + 8·3 pairs
		"window": {must(op.Attention(q, k, k, segments, 1, 3, 0)), op.Cost{FLOP: 27 * 4 * 2 * 2 * 2, Bytes: 4 * (80 + 40 + 40 + 10 + 80 + 40)}},
	} {
		o, _ := op.Of(c.node)
		if got := o.Spec.Cost(o.In, nil); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// What nobody reads of a gradient costs nothing.
func TestCostOfWhatIsWanted(t *testing.T) {
	g := G.NewGraph()
	in := func(name string, dims ...int) *G.Node { return must(op.Input(g, name, tensor.Float32, dims...)) }
	w, a, b, head := in("w", 8, 6), in("A", 3, 6), in("B", 8, 3), in("head", 20, 8)
	x := must(op.RMSNorm(in("x", 10, 6), in("norm", 6), 1e-5))
	y := must(op.Linear(kernels.Linear{Rank: 3, Scale: 1}, x, w, a, b))
	loss := must(op.LinearCrossEntropy(kernels.LinearCrossEntropy{}, y, head, must(op.Input(g, "targets", tensor.Int32, 10)), in("weights", 10)))
	if _, err := op.Backward(loss, G.Nodes{a, b}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, n := range g.AllNodes() {
		o, ok := op.Of(n)
		if !ok {
			continue
		}
		for _, c := range []struct {
			kernel string
			wanted []int
			want   int64
		}{
			{"linear_cross_entropy", []int{0}, 2 * 10 * 20 * 8},
			{"linear_cross_entropy", []int{0, 1}, 2 * 2 * 10 * 20 * 8},
			{"linear_cross_entropy", []int{0, 1, 2}, 3 * 2 * 10 * 20 * 8},
			{"linear_bwd", []int{0, 3, 4}, 2*10*6*8 + 2*2*10*3*(6+8)},
			{"linear_bwd", []int{3, 4}, 2 * 10 * 3 * (8 + 6 + 8)},
			{"linear_bwd", []int{1}, 2 * 10 * 6 * 8},
		} {
			if o.Spec.Kernel().Name() != c.kernel {
				continue
			}
			seen++
			wanted := make([]bool, len(o.Out))
			for _, i := range c.wanted {
				wanted[i] = true
			}
			if got := o.Spec.Cost(o.In, wanted).FLOP; got != c.want {
				t.Errorf("%s, outputs %v: %d operations, want %d", c.kernel, c.wanted, got, c.want)
			}
		}
	}
	if seen != 6 {
		t.Errorf("%d of 6 cases were met", seen)
	}
}

// In float32, as models are built, a TapeMachine gives what Evaluate gives, scalars included.
func TestTapeMachineInFloat32(t *testing.T) {
	g := G.NewGraph()
	x := must(op.Input(g, "x", tensor.Float32, 2, 3))
	scale := must(op.Input(g, "scale", tensor.Float32))
	y := must(op.ScaleBy(must(op.Add(x, x)), scale))
	var got G.Value
	G.Read(y, &got)
	values := []float32{1, 2, 3, 4, 5, 0.1}
	if err := errors.Join(G.Let(scale, float32(0.3)), G.Let(x, tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(slices.Clone(values))))); err != nil {
		t.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	want, err := op.Evaluate(G.Nodes{y}, map[*G.Node]*kernels.Tensor[float32]{
		x: {Shape: []int{2, 3}, F: values}, scale: {F: []float32{0.3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Data().([]float32), want[0].F) {
		t.Errorf("%v, want %v", got.Data(), want[0].F)
	}
}
