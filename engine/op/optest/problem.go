package optest

import (
	"fmt"
	"slices"
	"testing"

	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// problem is one run of one kernel: operands as they are stored, and which rows of inputs are padding.
type problem struct {
	name   string
	kernel kernels.Kernel
	dtype  kernels.Dtype // of activations
	in     []View
	out    []View // Data nil where nobody wants it
	pad    map[int]func(row int) bool
	alias  map[int]int // output -> the input whose buffer it is
}

// problems are those of every operation and its gradient, and of the optimizer.
func problems(t *testing.T, s storage) (ps []*problem) {
	t.Helper()
	for _, e := range op.Table() {
		for _, c := range e.Examples().Cases {
			g, err := build(c, op.Backward)
			if err != nil {
				t.Fatalf("%s/%s: %v", e.Kernel, c.Name, err)
			}
			if s.activations != s.weights && !slices.ContainsFunc(c.In, func(o op.Operand) bool { return o.Weight }) {
				continue
			}
			ps = append(ps, g.problems(t, e.Kernel+"/"+c.Name, s)...)
		}
	}
	return append(ps, optimizerProblems(s)...)
}

// problems are the kernels of a graph, each on the inputs that the reference gives it, rounded to their storage.
func (g *graph) problems(t *testing.T, name string, s storage) (ps []*problem) {
	t.Helper()
	var nodes G.Nodes
	sides := map[*G.Node][]int{}
	for _, n := range g.node.Graph().AllNodes() {
		nodes = append(nodes, n)
		if parent, i, ok := op.SideOf(n); ok {
			sides[parent] = append(sides[parent], i)
		}
	}
	before := map[*G.Node]*kernels.Tensor[float64]{}
	for n, v := range g.values {
		before[n] = &kernels.Tensor[float64]{Shape: v.Shape, F: slices.Clone(v.F), I: v.I}
	}
	vs, err := op.Evaluate(nodes, g.values)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	at := map[*G.Node]*kernels.Tensor[float64]{}
	for i, n := range nodes {
		at[n] = vs[i]
	}
	for n, v := range before { // an input may have been written
		at[n] = v
	}
	for _, n := range nodes {
		o, ok := op.Of(n)
		if !ok || o.Spec.Kernel().Name() == (dotKernel{}).Name() {
			continue
		}
		p := &problem{name: fmt.Sprintf("%s/%v", name, o), kernel: o.Spec.Kernel(), dtype: s.activations, pad: map[int]func(int) bool{}}
		it := n.Graph().From(n.ID())
		for i := 0; it.Next(); i++ {
			c := it.Node().(*G.Node)
			v := at[c]
			if v.I != nil {
				p.in = append(p.in, storeInts(v.I))
				continue
			}
			example := g.operand[c]
			if example.Pad != nil {
				p.pad[i] = example.Pad
			}
			p.in = append(p.in, storeFloats(s.of(op.TypeOf(c).Stat || example.Stat, example.Weight), v.Shape, v.F))
		}
		for i, ty := range o.Out {
			var v View
			if ty.Shape.TotalSize() > 0 && (i == 0 || n == g.node || slices.Contains(sides[n], i)) {
				v = newView(s.of(ty.Stat, false), ty.Shape)
			}
			p.out = append(p.out, v)
		}
		ps = append(ps, p)
	}
	return ps
}

// storage is a precision policy: what activations and what weights are stored as. Everything marked Stat is float32.
type storage struct{ activations, weights kernels.Dtype }

// storages are the policies in use: all float32, all bfloat16, and trained weights in float32 under bfloat16.
func storages() []storage {
	return []storage{
		{kernels.Float32, kernels.Float32}, {kernels.BFloat16, kernels.BFloat16}, {kernels.BFloat16, kernels.Float32},
	}
}

func (s storage) String() string {
	if s.activations != s.weights {
		return fmt.Sprintf("%v with %v weights", s.activations, s.weights)
	}
	return s.activations.String()
}

// of is what an input or output is stored as.
func (s storage) of(stat, weight bool) kernels.Dtype {
	switch {
	case stat:
		return kernels.Float32
	case weight:
		return s.weights
	}
	return s.activations
}

// reference is what the float64 reference makes of the stored inputs, and what it leaves in them.
func (p *problem) reference() (out, in []*kernels.Tensor[float64]) {
	for _, v := range p.in {
		in = append(in, v.tensor())
	}
	for _, v := range p.out {
		if v.Data == nil {
			out = append(out, nil)
			continue
		}
		out = append(out, &kernels.Tensor[float64]{Shape: v.Shape, F: make([]float64, len(v.Data)/int(v.Dtype.Size()))})
	}
	p.kernel.Float64(in, out)
	return out, in
}

// aliased reports whether input i is written as an output.
func (p *problem) aliased(i int) bool {
	for _, in := range p.alias {
		if in == i {
			return true
		}
	}
	return false
}

// optimizerProblems are the kernels that are no operations of a graph, and sums and products of gradients of weights,
// which stay in float32 whatever the activations are.
func optimizerProblems(s storage) (ps []*problem) {
	float := func(d kernels.Dtype, n int, seed uint32, fill func(float64) float64) View {
		return storeFloats(d, []int{n}, values(op.Operand{Shape: []int{n}, Fill: fill}, seed).F)
	}
	positive := func(u float64) float64 { return u * u }
	for _, n := range []int{1, 3, 17, 65, 127, 70001} {
		f32 := func(seed uint32) View { return float(kernels.Float32, n, seed, nil) }
		act := func(seed uint32) View { return float(s.activations, n, seed, nil) }
		add := func(p problem) {
			p.name, p.dtype = fmt.Sprintf("%s/%d", p.kernel.Name(), n), s.activations
			ps = append(ps, &p)
		}
		hyper := storeFloats(kernels.Float32, []int{4}, []float64{1e-2, 0.271, 0.003, 0.5}) // see kernels.AdamW
		in := []View{f32(1), f32(2), f32(3), float(kernels.Float32, n, 4, positive), hyper}
		add(problem{kernel: kernels.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1}, in: in,
			out: []View{in[0], in[2], in[3]}, alias: map[int]int{0: 0, 1: 2, 2: 3}})
		add(problem{kernel: kernels.SumSq{}, in: []View{act(5)}, out: []View{newView(kernels.Float32, nil)}})
		add(problem{kernel: kernels.SumSq{}, in: []View{f32(5)}, out: []View{newView(kernels.Float32, nil)}})
		add(problem{kernel: kernels.Accumulate{}, in: []View{f32(6), act(7)}, out: []View{f32(6)}, alias: map[int]int{0: 0}})
		add(problem{kernel: kernels.Accumulate{}, in: []View{f32(6), f32(7)}, out: []View{f32(6)}, alias: map[int]int{0: 0}})
		add(problem{kernel: kernels.Zero{}, out: []View{act(8)}})
		add(problem{kernel: kernels.Add{}, in: []View{f32(9), f32(10)}, out: []View{f32(0)}})
		scalar := storeFloats(kernels.Float32, nil, []float64{-0.3})
		add(problem{kernel: kernels.ScaleBy{}, in: []View{f32(11), scalar}, out: []View{f32(0)}})
	}
	return ps
}
