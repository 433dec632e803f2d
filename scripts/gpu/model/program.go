package main

import (
	"slices"

	"attune/engine/exec"
	"attune/engine/model"
	"attune/engine/nn"
	"attune/engine/op"
	"attune/engine/peft"
	"attune/kernels"
	"attune/kernels/cuda"

	G "gorgonia.org/gorgonia"
)

// call is a kernel of the program with operands of its types; what they hold and where they lie matters to no plan.
type call struct {
	kernel  kernels.Kernel
	in, out []cuda.View
	sums    []cuda.Call // accumulations right behind it, see cuda.PlanFollowed
}

// program is what `attune bench` would run for one row in bfloat16: LoRA of rank r on all linear layers, nothing recomputed.
// It also gives the shapes of what is trained.
func program(shape string, tokens, r int, target cuda.Target) (calls []call, trained [][]int, err error) {
	text, err := model.Shape(shape)
	if err != nil {
		return nil, nil, err
	}
	c, err := model.ParseConfig(text)
	if err != nil {
		return nil, nil, err
	}
	linears, err := c.Linears()
	if err != nil {
		return nil, nil, err
	}
	targets, err := peft.ParseTargets([]string{"all-linear"})
	if err != nil {
		return nil, nil, err
	}
	adapter, err := peft.Config{R: r, Alpha: float64(2 * r), Targets: targets}.Adapter(linears)
	if err != nil {
		return nil, nil, err
	}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{Tokens: tokens, Adapter: adapter})
	loss, _ := c.Train(b)
	if err := b.Err(); err != nil {
		return nil, nil, err
	}
	grads, err := op.Backward(loss, b.Trained())
	if err != nil {
		return nil, nil, err
	}
	o := exec.Options{Activations: kernels.BFloat16, Storage: map[string]kernels.Dtype{}, Layers: b.LayerStarts()}
	for _, p := range b.Params() {
		o.Storage[p.Name] = kernels.BFloat16
		if p.Trained {
			o.Storage[p.Name] = kernels.Float32
			o.Accumulate = append(o.Accumulate, exec.Accumulation{Grad: grads[len(trained)], Into: p.Name + ".grad"})
			trained = append(trained, p.Shape)
		}
	}
	// Scratch is asked for every kernel of the program once, in order.
	o.Scratch = func(k kernels.Kernel, in, out []exec.Type) int64 {
		x := call{kernel: k, in: views(in), out: views(out)}
		if k.Name() == "accumulate" {
			return follow(calls, x)
		}
		place(x.out)
		calls = append(calls, x)
		return cuda.Scratch(target, x.kernel, x.in, x.out)
	}
	_, err = exec.Compile(G.Nodes{loss}, o)
	return calls, trained, err
}

// somewhere is the address of all operands, but that outputs of a call differ by apart, and what they are accumulated in by far.
const somewhere, apart, far cuda.Ptr = 1 << 40, 1 << 36, 1 << 50

func place(out []cuda.View) {
	for i := range out {
		if out[i].Wanted() {
			out[i].Ptr += cuda.Ptr(i+1) * apart
		}
	}
}

// follow hands an accumulation to the call before, whose first output of its shape it takes that none has taken. It needs no
// scratch.
func follow(calls []call, x call) int64 {
	last := &calls[len(calls)-1]
	for i, o := range last.out {
		taken := slices.ContainsFunc(last.sums, func(s cuda.Call) bool { return s.In[1].Ptr == o.Ptr })
		if o.Wanted() && !taken && o.Dtype == x.in[1].Dtype && slices.Equal(o.Shape, x.in[1].Shape) {
			sum := x.in[0]
			sum.Ptr = far + cuda.Ptr(i)*apart
			last.sums = append(last.sums, cuda.Call{Kernel: x.kernel, In: []cuda.View{sum, o}, Out: []cuda.View{sum}})
			break
		}
	}
	return 0
}

func view(d kernels.Dtype, shape ...int) cuda.View {
	return cuda.View{Ptr: somewhere, Dtype: d, Shape: shape}
}

func views(ts []exec.Type) []cuda.View {
	vs := make([]cuda.View, len(ts))
	for i, t := range ts {
		if t.Dtype != 0 {
			vs[i] = view(t.Dtype, t.Shape...)
		}
	}
	return vs
}

// plan is the steps of a call.
func (c call) plan(t cuda.Target) ([]cuda.Step, error) {
	n := int(cuda.Scratch(t, c.kernel, c.in, c.out))
	return cuda.PlanFollowed(t, cuda.Call{Kernel: c.kernel, In: c.in, Out: c.out}, c.sums, view(kernels.Float32, (n+3)/4))
}

// frozen is a linear layer's call without its adapter; false for other calls, and where nothing would be left.
func (c call) frozen() (call, bool) {
	switch k := c.kernel.(type) {
	case kernels.Linear:
		if k.Rank > 0 {
			last := 2
			if k.Bias {
				last++
			}
			return call{kernel: kernels.Linear{Bias: k.Bias}, in: c.in[:last], out: []cuda.View{c.out[0], {}}}, true
		}
	case kernels.LinearBwd:
		if k.Rank > 0 && c.out[0].Wanted() {
			return call{kernel: kernels.LinearBwd{}, in: []cuda.View{c.in[0], c.in[1], c.in[len(c.in)-1]}, out: []cuda.View{c.out[0], {}, {}}}, true
		}
	}
	return call{}, false
}

// update is the work of an optimizer step behind the row's: gradients to zero, their norm, AdamW.
func update(t cuda.Target, trained [][]int) (all []joined, err error) {
	var norms, changes []cuda.Call
	elems := 0
	for _, shape := range trained {
		p := view(kernels.Float32, shape...)
		elems += p.Elems()
		norms = append(norms, cuda.Call{Kernel: kernels.SumSq{}, In: []cuda.View{p}, Out: []cuda.View{view(kernels.Float32)}})
		changes = append(changes, cuda.Call{Kernel: kernels.AdamW{}, In: []cuda.View{p, p, p, p, view(kernels.Float32, 4)}, Out: []cuda.View{p, p, p}})
	}
	all = append(all, joined{name: "zero", steps: []cuda.Step{&cuda.Fill{Bytes: int64(4 * elems)}}, elems: elems})
	for _, calls := range [][]cuda.Call{norms, changes} {
		n := cuda.ScratchAll(t, calls)
		steps, _, err := cuda.PlanAll(t, calls, view(kernels.Float32, int(n+3)/4))
		if err != nil {
			return nil, err
		}
		all = append(all, joined{name: calls[0].Kernel.Name(), steps: steps, elems: elems})
	}
	return all, nil
}

// joined is the steps of all trained tensors together, of so many elements.
type joined struct {
	name  string
	steps []cuda.Step
	elems int
}
