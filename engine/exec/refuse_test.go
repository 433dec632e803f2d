package exec_test

import (
	"math"
	"strings"
	"testing"

	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// What does not fit is refused when it is bound.
func TestBindRefuses(t *testing.T) {
	m := build(t, exectest.Small())
	b := exectest.NewReference()
	p := compile(t, m, exec.Options{})
	r := runner(t, b, p)
	in, ok := p.Input("embed")
	if !ok {
		t.Fatal("no input embed")
	}
	buf, err := b.Alloc(in.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	good := exec.Operand{Buf: buf, Dtype: in.Dtype, Shape: in.Shape}
	for name, change := range map[string]func(*exec.Operand){
		"dtype":  func(o *exec.Operand) { o.Dtype = kernels.BFloat16 },
		"shape":  func(o *exec.Operand) { o.Shape = []int{in.Shape[1], in.Shape[0]} },
		"rank":   func(o *exec.Operand) { o.Shape = []int{in.Shape[0] * in.Shape[1]} },
		"offset": func(o *exec.Operand) { o.Off = 4 },
		"beyond": func(o *exec.Operand) { o.Off = math.MaxInt64 },
		"before": func(o *exec.Operand) { o.Off = -4 },
		"none":   func(o *exec.Operand) { o.Buf = nil },
	} {
		o := good
		change(&o)
		if err := r.Bind("embed", o); err == nil {
			t.Errorf("%s: %+v was bound as %v", name, o, in.Type)
		}
	}
	if err := r.Bind("embed", good); err != nil {
		t.Error(err)
	}
	if err := r.Bind("embedding", good); err == nil {
		t.Error("an input that is not there was bound")
	}
}

// Graphs that cannot be compiled are refused with the node's name.
func TestCompileRefuses(t *testing.T) {
	input := func(g *G.ExprGraph, name string, d tensor.Dtype) *G.Node {
		return G.NewVector(g, d, G.WithShape(3), G.WithName(name))
	}
	add := func(a, b *G.Node) *G.Node {
		n, err := op.Add(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, c := range map[string]struct {
		build func(g *G.ExprGraph) (G.Nodes, exec.Options)
		want  string
	}{
		"gorgonia's own operation": {func(g *G.ExprGraph) (G.Nodes, exec.Options) {
			return G.Nodes{G.Must(G.Exp(input(g, "x", G.Float32)))}, exec.Options{}
		}, "none of engine/op's"},
		"float64": {func(g *G.ExprGraph) (G.Nodes, exec.Options) {
			x := input(g, "x", G.Float64)
			return G.Nodes{add(x, x)}, exec.Options{}
		}, "float64"},
		"storage": {func(g *G.ExprGraph) (G.Nodes, exec.Options) {
			x := input(g, "x", G.Float32)
			return G.Nodes{add(x, x)}, exec.Options{Storage: map[string]kernels.Dtype{"x": kernels.Int32}}
		}, "storage int32"},
		"no outputs": {func(g *G.ExprGraph) (G.Nodes, exec.Options) { return nil, exec.Options{} }, "no outputs"},
		"nil output": {func(g *G.ExprGraph) (G.Nodes, exec.Options) { return G.Nodes{nil}, exec.Options{} }, "is nil"},
		"two graphs": {func(g *G.ExprGraph) (G.Nodes, exec.Options) {
			return G.Nodes{input(g, "x", G.Float32), input(G.NewGraph(), "y", G.Float32)}, exec.Options{}
		}, "another graph"},
		"one name, two inputs": {func(g *G.ExprGraph) (G.Nodes, exec.Options) {
			x, y := input(g, "x", G.Float32), G.NewMatrix(g, G.Float32, G.WithShape(2, 2), G.WithName("x"))
			return G.Nodes{add(x, x), add(y, y)}, exec.Options{}
		}, "unique"},
		"accumulate into an input": {func(g *G.ExprGraph) (G.Nodes, exec.Options) {
			x := input(g, "x", G.Float32)
			s := add(x, x)
			return G.Nodes{s}, exec.Options{Accumulate: []exec.Accumulation{{Grad: s, Into: "x"}}}
		}, `accumulate into "x"`},
		"activations": {func(g *G.ExprGraph) (G.Nodes, exec.Options) {
			x := input(g, "x", G.Float32)
			return G.Nodes{add(x, x)}, exec.Options{Activations: kernels.Int32}
		}, "int32"},
	} {
		t.Run(name, func(t *testing.T) {
			outs, o := c.build(G.NewGraph())
			if _, err := exec.Compile(outs, o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something of %q", err, c.want)
			}
		})
	}
}

// A constant of gorgonia's is uploaded once and read like an input.
func TestConstant(t *testing.T) {
	g := G.NewGraph()
	x := G.NewVector(g, G.Float32, G.WithShape(3), G.WithName("x"))
	n, err := op.ScaleBy(x, G.NewConstant(float32(2.5)))
	if err != nil {
		t.Fatal(err)
	}
	m := &exectest.Model{Loss: n, Values: map[string]exectest.Tensor{"x": {Shape: []int{3}, F: []float32{1, 2, -4}}}}
	got := exectest.Floats(run(t, m, exec.Options{}, nil)[0], kernels.Float32)
	if got[0] != 2.5 || got[1] != 5 || got[2] != -10 {
		t.Errorf("2.5 · (1, 2, -4) = %v", got)
	}
}
