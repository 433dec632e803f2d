package cuda_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// call is one call of a batch: outputs are inputs where alias says so.
type call struct {
	k       kernels.Kernel
	in, out []optest.View
	alias   []int // of each output, or -1
}

func (c call) clone() call {
	in, out := c.in, c.out
	c.in, c.out = nil, nil
	for _, v := range in {
		c.in = append(c.in, optest.View{Data: slices.Clone(v.Data), Dtype: v.Dtype, Shape: v.Shape})
	}
	for i, v := range out {
		if v.Data != nil && c.alias[i] >= 0 {
			v = c.in[c.alias[i]]
		} else {
			v.Data = slices.Clone(v.Data)
		}
		c.out = append(c.out, v)
	}
	return c
}

// tensorSizes are around the ends of blocks of 16 Ki elements.
var tensorSizes = []int{1, 16 << 10, 3, 16<<10 + 1, 40, 70001, 7, 32 << 10}

func adamWCalls() (cs []call) {
	r := rand.New(rand.NewPCG(1, 2))
	hyper := &operands{r: r}
	hyper.floats(kernels.Float32, 0.1, 4)
	for i := range hyper.in[0].Data { // positive
		if i%4 == 3 {
			hyper.in[0].Data[i] &= 0x7f
		}
	}
	for i, n := range tensorSizes {
		o := &operands{r: r}
		for range 4 {
			o.floats(kernels.Float32, 1, n)
		}
		for j := 3; j < len(o.in[3].Data); j += 4 {
			o.in[3].Data[j] &= 0x7f // squares
		}
		k := kernels.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1 * float64(i%2)}
		c := call{k: k, in: append(o.in, hyper.in[0]), alias: []int{0, 2, 3}}
		c.out = []optest.View{c.in[0], c.in[2], c.in[3]}
		if i == 2 {
			c.out[1] = optest.View{} // the first moment is not wanted
		}
		cs = append(cs, c)
	}
	return cs
}

func sumSqCalls() (cs []call) {
	r := rand.New(rand.NewPCG(3, 4))
	for i, n := range tensorSizes {
		o := &operands{r: r}
		o.floats([]kernels.Dtype{kernels.Float32, kernels.BFloat16}[i%2], 1, n)
		c := call{k: kernels.SumSq{}, in: o.in, out: []optest.View{emptyView(kernels.Float32, nil)}, alias: []int{-1}}
		if i == 4 {
			c.out[0] = optest.View{}
		}
		cs = append(cs, c)
	}
	return cs
}

// onDevice is memory of the device with the bytes of every operand, those of one buffer once.
type onDevice map[*byte]*emutest.Memory

func (d onDevice) views(vs []optest.View) (out []cuda.View) {
	for _, v := range vs {
		if v.Data == nil {
			out = append(out, cuda.View{})
			continue
		}
		m := d[&v.Data[0]]
		if m == nil {
			m = emutest.Alloc(len(v.Data))
			copy(m.Bytes, v.Data)
			d[&v.Data[0]] = m
		}
		out = append(out, cuda.View{Ptr: m.Ptr, Dtype: v.Dtype, Shape: v.Shape})
	}
	return out
}

// Many tensors in one launch have the bits of one launch each, and again when the same steps run a second time.
func TestPlanAllIsPlanOfEach(t *testing.T) {
	for name, calls := range map[string][]call{"adamw": adamWCalls(), "sumsq": sumSqCalls()} {
		t.Run(name, func(t *testing.T) {
			target := cuda.Target{CC: 80}
			e := emutest.Open(t, target, emutest.Options{Seed: 1})
			device, all := onDevice{}, []cuda.Call{}
			for _, c := range calls {
				all = append(all, cuda.Call{Kernel: c.k, In: device.views(c.in), Out: device.views(c.out)})
			}
			memory := emutest.Alloc(int(cuda.ScratchAll(target, all)))
			steps, table, err := cuda.PlanAll(target, all, cuda.View{Ptr: memory.Ptr, Dtype: kernels.Int32, Shape: []int{len(memory.Bytes) / 4}})
			if err != nil {
				t.Fatal(err)
			}
			if len(steps) > 2 {
				t.Errorf("%d launches for %d tensors", len(steps), len(calls))
			}
			copy(memory.Bytes, table)
			single := slices.Clone(calls)
			for i := range single {
				single[i] = calls[i].clone()
			}
			for round := range 2 {
				if err := e.Steps(steps); err != nil {
					t.Fatal(err)
				}
				for i, c := range single {
					if err := e.Run(c.k, c.in, c.out); err != nil {
						t.Fatal(err)
					}
					for j, v := range c.out {
						if v.Data != nil && !bytes.Equal(v.Data, device[&calls[i].out[j].Data[0]].Bytes) {
							t.Errorf("round %d: output %d of tensor %d has other bits", round, j, i)
						}
					}
				}
			}
			for _, m := range append(slices.Collect(maps.Values(device)), memory) {
				if err := m.Free(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// What is not joined says so by a size of 0, and PlanAll why.
func TestPlanAllRefuses(t *testing.T) {
	view := func(shape ...int) cuda.View { return cuda.View{Dtype: kernels.Float32, Shape: shape} }
	sum := cuda.Call{Kernel: kernels.SumSq{}, In: []cuda.View{view(40)}, Out: []cuda.View{view()}}
	add := cuda.Call{Kernel: kernels.Add{}, In: []cuda.View{view(4), view(4)}, Out: []cuda.View{view(4)}}
	bad := cuda.Call{Kernel: kernels.SumSq{}, In: []cuda.View{view(40)}, Out: []cuda.View{view(1)}}
	for want, calls := range map[string][]cuda.Call{
		"no calls":          {},
		"sumsq and add":     {sum, add},
		"add is not joined": {add, add},
		"must be float32[]": {sum, bad},
	} {
		if n := cuda.ScratchAll(cuda.Target{CC: 80}, calls); n != 0 {
			t.Errorf("%s: %d bytes", want, n)
		}
		if _, _, err := cuda.PlanAll(cuda.Target{CC: 80}, calls, view(1<<20)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, wants one with %q", err, want)
		}
	}
	few := []cuda.Call{sum, sum}
	need := cuda.ScratchAll(cuda.Target{CC: 80}, few)
	if _, _, err := cuda.PlanAll(cuda.Target{CC: 80}, few, view(int(need)/4-1)); err == nil || !strings.Contains(err.Error(), "needs") {
		t.Errorf("with too little memory: %v", err)
	}
}
