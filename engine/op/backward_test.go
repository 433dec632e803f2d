package op_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"attune/engine/op"
	"attune/engine/op/optest"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
)

// must is for graphs that the test builds rightly.
func must(n *G.Node, err error) *G.Node {
	if err != nil {
		panic(err)
	}
	return n
}

// head is a linear_cross_entropy over x (T,D), with its inputs.
func head(g *G.ExprGraph, x *G.Node) (loss, weight *G.Node) {
	t, d := x.Shape()[0], x.Shape()[1]
	weight = must(op.Input(g, "head", tensor.Float64, 3, d))
	targets := must(op.Input(g, "targets", tensor.Int32, t))
	weights := must(op.Input(g, "weights", tensor.Float64, t))
	return must(op.LinearCrossEntropy(kernels.LinearCrossEntropy{}, x, weight, targets, weights)), weight
}

func TestBackwardSaysWhatIsNotTrainable(t *testing.T) {
	g := G.NewGraph()
	x := must(op.Input(g, "x", tensor.Float64, 2, 3))
	stray := must(op.Input(g, "stray", tensor.Float64, 3))
	loss, weight := head(g, x)
	weights := g.ByName("weights")[0]
	for _, c := range []struct {
		from  *G.Node
		wrt   G.Nodes
		error string
	}{
		{loss, G.Nodes{weight, stray}, `"stray" of shape (3) does not affect the loss`},
		{loss, G.Nodes{weights}, `"weights" of shape (2) does not affect the loss, or only where its operation says it is frozen`},
		{must(op.Add(x, x)), G.Nodes{x}, "is not a loss"},
		{x, G.Nodes{x}, "is not a loss"},
	} {
		if _, err := op.Backward(c.from, c.wrt); err == nil || !strings.Contains(err.Error(), c.error) {
			t.Errorf("error %v, want one with %q", err, c.error)
		}
	}
}

func TestGenerationIsNotDifferentiable(t *testing.T) {
	g := G.NewGraph()
	x := must(op.Input(g, "x", tensor.Float64, 4, 3))
	index := must(op.Input(g, "index", tensor.Int32, 2))
	loss, _ := head(g, must(op.Rows(x, index)))
	if _, err := op.Backward(loss, G.Nodes{x}); err == nil {
		t.Error("rows was differentiated")
	}
}

// A frozen linear's input is not an operand of the backward pass, so that it need not be kept; with LoRA it is.
func TestFrozenLinearDoesNotKeepItsInput(t *testing.T) {
	for _, rank := range []int{0, 2} {
		g := G.NewGraph()
		first := must(op.Input(g, "first", tensor.Float64, 3))
		x := must(op.RMSNorm(must(op.Input(g, "x", tensor.Float64, 2, 3)), first, 1e-5))
		ins := []*G.Node{x, must(op.Input(g, "w", tensor.Float64, 3, 3))}
		wrt := G.Nodes{first}
		if rank > 0 {
			ins = append(ins, must(op.Input(g, "A", tensor.Float64, rank, 3)), must(op.Input(g, "B", tensor.Float64, 3, rank)))
			wrt = append(wrt, ins[2], ins[3])
		}
		loss, _ := head(g, must(op.Linear(kernels.Linear{Rank: rank, Scale: 1}, ins...)))
		if _, err := op.Backward(loss, wrt); err != nil {
			t.Fatal(err)
		}
		reads := 0
		for _, n := range g.AllNodes() {
			o, ok := op.Of(n)
			if !ok || o.Spec.Kernel().Name() != "linear_bwd" {
				continue
			}
			for it := g.From(n.ID()); it.Next(); {
				if it.Node() == x {
					reads++
				}
			}
		}
		if want := min(rank, 1); reads != want {
			t.Errorf("rank %d: linear_bwd reads x %d times, want %d", rank, reads, want)
		}
	}
}

// Two builds of one model give the same nodes in the same order, gradients included: a plan made for one fits the other.
func TestBuildsAreEqual(t *testing.T) {
	list := func() (s string) {
		m := newSmall()
		if _, err := op.Backward(m.loss, m.trained()); err != nil {
			t.Fatal(err)
		}
		for _, n := range m.g.AllNodes() {
			s += fmt.Sprintln(n.ID(), n.Name(), n.Op(), n.Shape())
			for it := m.g.From(n.ID()); it.Next(); {
				s += fmt.Sprint(" ", it.Node().ID())
			}
		}
		return s
	}
	if a, b := list(), list(); a != b {
		t.Errorf("first build:\n%s\nsecond:\n%s", a, b)
	}
}

// Graphs drawn at random: values read several times, values nobody reads, residuals of residuals. Our gradients equal
// gorgonia's, and the derivative along a random direction equals the difference of two losses.
func TestRandomGraphs(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		tokens, width := rapid.IntRange(1, 4).Draw(r, "tokens"), 2*rapid.IntRange(1, 3).Draw(r, "width")
		steps := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 99), 3, 3), 1, 9).Draw(r, "steps")
		build := func(diff func(*G.Node, G.Nodes) (G.Nodes, error)) (loss *G.Node, wrt, grads G.Nodes, in map[*G.Node]*kernels.Tensor[float64]) {
			g := G.NewGraph()
			in = map[*G.Node]*kernels.Tensor[float64]{}
			input := func(name string, dims ...int) *G.Node {
				n := must(op.Input(g, name, tensor.Float64, dims...))
				v := make([]float64, tensor.Shape(dims).TotalSize())
				for i := range v {
					v[i] = 2*float64(kernels.Uniform(uint32(len(in)), 3, uint32(i))) - 1
				}
				in[n], wrt = &kernels.Tensor[float64]{Shape: dims, F: v}, append(wrt, n)
				return n
			}
			nodes := G.Nodes{input("x", tokens, width)}
			for i, s := range steps {
				a, b := nodes[s[1]%len(nodes)], nodes[s[2]%len(nodes)]
				name := fmt.Sprintf("w%d", i)
				switch s[0] % 4 {
				case 0:
					a = must(op.Add(a, b))
				case 1:
					a = must(op.SwiGLU("gelu", a, b))
				case 2:
					a = must(op.RMSNorm(a, input(name, width), 1e-3))
				case 3:
					a = must(op.Linear(kernels.Linear{}, a, input(name, width, width)))
				}
				nodes = append(nodes, a)
			}
			all := wrt
			loss, w := head(g, nodes[len(nodes)-1])
			in[w] = &kernels.Tensor[float64]{Shape: w.Shape(), F: make([]float64, w.Shape().TotalSize())}
			for i := range in[w].F {
				in[w].F[i] = math.Sin(float64(i))
			}
			in[g.ByName("targets")[0]] = &kernels.Tensor[float64]{Shape: []int{tokens}, I: make([]int32, tokens)}
			ones := make([]float64, tokens)
			for i := range ones {
				ones[i] = 1
			}
			in[g.ByName("weights")[0]] = &kernels.Tensor[float64]{Shape: []int{tokens}, F: ones}
			wrt = G.Nodes{w}
			for _, n := range all { // those that the loss depends on
				if _, err := op.Backward(loss, G.Nodes{n}); err == nil {
					wrt = append(wrt, n)
				}
			}
			grads, err := diff(loss, wrt)
			if err != nil {
				r.Fatal(err)
			}
			return loss, wrt, grads, in
		}
		loss, wrt, grads, in := build(op.Backward)
		got, err := op.Evaluate(grads, in)
		if err != nil {
			r.Fatal(err)
		}
		_, _, theirs, same := build(func(l *G.Node, w G.Nodes) (G.Nodes, error) { return G.Grad(l, w...) })
		want := optest.Tape(t, theirs, same)
		var slope float64
		const h = 1e-6
		along := func(sign float64) float64 {
			moved := map[*G.Node]*kernels.Tensor[float64]{}
			for n, v := range in {
				moved[n] = v
			}
			for i, n := range wrt {
				f := append([]float64(nil), in[n].F...)
				for j := range f {
					f[j] += sign * h * math.Cos(float64(i+j))
				}
				moved[n] = &kernels.Tensor[float64]{Shape: in[n].Shape, F: f}
			}
			l, err := op.Evaluate(G.Nodes{loss}, moved)
			if err != nil {
				r.Fatal(err)
			}
			return l[0].F[0]
		}
		size := 1.0
		for i := range want {
			for j, w := range want[i] {
				if d := math.Abs(got[i].F[j] - w); !(d <= 1e-12*(1+math.Abs(w))) {
					r.Errorf("gradient of %s[%d]: %g, gorgonia's %g", wrt[i].Name(), j, got[i].F[j], w)
				}
				slope += got[i].F[j] * math.Cos(float64(i+j))
				size += math.Abs(got[i].F[j])
			}
		}
		if d := (along(1) - along(-1)) / (2 * h); !(math.Abs(d-slope) <= 1e-6*size) {
			r.Errorf("slope along a direction %g, by differences %g", slope, d)
		}
	})
}
