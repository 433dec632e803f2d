package optest

import (
	"math"
	"slices"
	"strings"
	"testing"

	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// References checks every operation of op.Table without a backend.
func References(t *testing.T) {
	for _, e := range op.Table() {
		t.Run(e.Kernel, func(t *testing.T) { Check(t, e) })
	}
}

// Check is References for one operation.
func Check(t *testing.T, e op.Entry) {
	ex := e.Examples()
	if len(ex.Cases) == 0 || len(ex.Refused) == 0 {
		t.Errorf("%d cases and %d refusals: the suite needs some of both", len(ex.Cases), len(ex.Refused))
	}
	for _, r := range ex.Refused {
		refuse(t, r)
	}
	for _, c := range ex.Cases {
		t.Run(c.Name, func(t *testing.T) {
			if got := c.Spec.Kernel().Name(); got != e.Kernel {
				t.Errorf("the case runs %s", got)
			}
			g, err := build(c, op.Backward)
			if err != nil {
				t.Fatal(err)
			}
			outputsAlone(t, g)
			paddingIsIgnored(t, g)
			if g.loss != nil {
				grads := evaluate(t, g, g.grads)
				differences(t, g, grads)
				gorgonias(t, c, g, grads)
			}
		})
	}
}

func refuse(t *testing.T, r op.Refusal) {
	t.Helper()
	var in []op.Ty
	for _, o := range r.In {
		ty := op.Ty{Dtype: tensor.Float64, Shape: o.Shape}
		if o.Ints != nil {
			ty.Dtype = tensor.Int32
		}
		in = append(in, ty)
	}
	out, err := r.Spec.Infer(in)
	if err == nil {
		t.Errorf("%v was accepted, giving %v; want an error with %q", in, out, r.Error)
	} else if !strings.Contains(err.Error(), r.Error) {
		t.Errorf("error %q does not say %q", err, r.Error)
	}
}

// evaluate computes roots on copies of the inputs.
func evaluate(t *testing.T, g *graph, roots G.Nodes) []*kernels.Tensor[float64] {
	t.Helper()
	in := map[*G.Node]*kernels.Tensor[float64]{}
	for n, v := range g.values {
		in[n] = &kernels.Tensor[float64]{Shape: v.Shape, F: slices.Clone(v.F), I: v.I}
	}
	out, err := op.Evaluate(roots, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// differences compares gradients with central differences of the loss, at most some elements of each input.
func differences(t *testing.T, g *graph, grads []*kernels.Tensor[float64]) {
	t.Helper()
	const h, tol, most = 1e-5, 2e-8, 12
	for i, n := range g.wrt {
		x := g.values[n].F
		var scale, size float64
		for j, d := range grads[i].F {
			scale, size = max(scale, math.Abs(d)), max(size, math.Abs(x[j]))
		}
		for j := 0; j < len(x); j += len(x)/most + 1 {
			before := x[j]
			step := h * size
			x[j] = before + step
			up := evaluate(t, g, G.Nodes{g.loss})[0].F[0]
			x[j] = before - step
			down := evaluate(t, g, G.Nodes{g.loss})[0].F[0]
			x[j] = before
			if d := (up - down) / (2 * step); !(math.Abs(d-grads[i].F[j]) <= tol*(1+scale)) {
				t.Errorf("gradient of %s[%d] is %.12g, by central differences %.12g", n.Name(), j, grads[i].F[j], d)
			}
		}
	}
}

// gorgonias compares gradients with those that gorgonia's own differentiation and TapeMachine give for the same case.
func gorgonias(t *testing.T, c op.Case, ours *graph, grads []*kernels.Tensor[float64]) {
	t.Helper()
	g, err := build(c, gorgoniaGrad)
	if err != nil {
		t.Fatalf("gorgonia's differentiation: %v", err)
	}
	roots := append(G.Nodes{g.loss}, g.grads...)
	got := Tape(t, roots, g.values)
	want := append([]*kernels.Tensor[float64]{evaluate(t, ours, G.Nodes{ours.loss})[0]}, grads...)
	for i := range want {
		if at, _ := worst(got[i], want[i].F, 1e-13); at >= 0 {
			t.Errorf("%s: element %d is %.17g by gorgonia's TapeMachine, %.17g by ours", roots[i].Name(), at, got[i][at], want[i].F[at])
		}
	}
}

// Tape computes roots with gorgonia's TapeMachine in float64.
func Tape(t *testing.T, roots G.Nodes, in map[*G.Node]*kernels.Tensor[float64]) [][]float64 {
	t.Helper()
	out := make([]G.Value, len(roots))
	for i, r := range roots {
		G.Read(r, &out[i])
	}
	for n, v := range in {
		var err error
		switch {
		case v.I != nil:
			err = G.Let(n, tensor.New(tensor.WithShape(v.Shape...), tensor.WithBacking(slices.Clone(v.I))))
		case len(v.Shape) == 0:
			err = G.Let(n, v.F[0])
		default:
			err = G.Let(n, tensor.New(tensor.WithShape(v.Shape...), tensor.WithBacking(slices.Clone(v.F))))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	vm := G.NewTapeMachine(roots[0].Graph())
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	res := make([][]float64, len(roots))
	for i, v := range out {
		switch d := v.Data().(type) {
		case float64:
			res[i] = []float64{d}
		case []float64:
			res[i] = slices.Clone(d)
		}
	}
	return res
}

// outputsAlone runs every kernel of the graph with each output left out in turn, in both widths: the others keep their bits.
func outputsAlone(t *testing.T, g *graph) {
	t.Helper()
	for _, p := range g.problems(t, "", storages()[0]) {
		for skip := range p.out {
			if p.out[skip].Data == nil {
				continue
			}
			full, _ := p.reference()
			q := *p
			q.out = slices.Clone(p.out)
			q.out[skip] = View{}
			some, _ := q.reference()
			for i := range some {
				if i != skip && some[i] != nil && !slices.Equal(some[i].F, full[i].F) {
					t.Errorf("%v: output %d changes when output %d is left out", p.kernel.Name(), i, skip)
				}
			}
		}
	}
}

// paddingIsIgnored puts NaN into the rows that are padding: neither results nor gradients change.
func paddingIsIgnored(t *testing.T, g *graph) {
	t.Helper()
	for _, p := range g.problems(t, "", storages()[0]) {
		if len(p.pad) == 0 {
			continue
		}
		full, _ := p.reference()
		q := *p
		q.in = slices.Clone(p.in)
		for i, pad := range p.pad {
			q.in[i] = q.in[i].clone()
			q.in[i].setRows(pad, math.NaN())
		}
		some, _ := q.reference()
		for i := range some {
			if some[i] != nil && !slices.Equal(some[i].F, full[i].F) {
				t.Errorf("%v: output %d changes with what padding holds", p.kernel.Name(), i)
			}
		}
	}
}

// Kernels are the names of all kernels that the suite runs.
func Kernels(t *testing.T) map[string]bool {
	names := map[string]bool{}
	for _, p := range problems(t, storages()[0]) {
		names[p.kernel.Name()] = true
	}
	return names
}
