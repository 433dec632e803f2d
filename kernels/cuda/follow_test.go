package cuda_test

import (
	"bytes"
	"strings"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// Gradients of an adapter that are added up by the launch that ends them have the bits of launches of their own, be they of
// one piece or several, accumulated once, twice or both in one buffer.
func TestPlanFollowed(t *testing.T) {
	target := cuda.Target{CC: 90, Lt: true, Hopper: true}
	e := emutest.Open(t, target, emutest.Options{Seed: 1})
	for name, c := range map[string]struct {
		rows, steps int
		sums        [][2]int // output, buffer
	}{
		"both":       {1030, 5, [][2]int{{3, 0}, {4, 1}}},
		"one piece":  {300, 6, [][2]int{{3, 0}, {4, 1}}},
		"twice":      {1030, 6, [][2]int{{4, 0}, {3, 1}, {4, 2}}},
		"one buffer": {1030, 7, [][2]int{{3, 0}, {4, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := projection{rows: c.rows, in: 136, out: 136, k: kernels.Linear{Rank: 12, Scale: 0.7}, act: kernels.BFloat16, weight: kernels.BFloat16}
			k, o := kernels.LinearBwd(p.k), p.backward()
			o.out[1] = optest.View{}
			buffers := p.backward() // of any values
			var sums []optest.View
			for i := range 3 {
				v := buffers.in[2+i%2]
				v.Data, v.Shape = append([]byte(nil), v.Data...), []int{12 * 136}
				sums = append(sums, v)
			}
			as := func(v optest.View, shape []int) optest.View { v.Shape = shape; return v }
			device, calls := onDevice{}, []cuda.Call{}
			first := cuda.Call{Kernel: k, In: device.views(o.in), Out: device.views(o.out)}
			for _, s := range c.sums {
				shape := o.out[s[0]].Shape
				v := device.views([]optest.View{as(sums[s[1]], shape), o.out[s[0]]})
				calls = append(calls, cuda.Call{Kernel: kernels.Accumulate{}, In: v, Out: v[:1]})
			}
			memory := emutest.Alloc(int(cuda.Scratch(target, k, first.In, first.Out)))
			scratch := cuda.View{Ptr: memory.Ptr, Dtype: kernels.Int32, Shape: []int{len(memory.Bytes) / 4}}
			steps, err := cuda.PlanFollowed(target, first, calls, scratch)
			if err != nil {
				t.Fatal(err)
			}
			if len(steps) != c.steps {
				t.Errorf("%d steps, want %d", len(steps), c.steps)
			}
			if err := e.Steps(steps); err != nil {
				t.Fatal(err)
			}
			want := onDevice{}
			single := cuda.Call{Kernel: k, In: want.views(o.in), Out: want.views(o.out)}
			if steps, err = cuda.Plan(target, k, single.In, single.Out, scratch); err != nil {
				t.Fatal(err)
			}
			for _, s := range c.sums {
				v := want.views([]optest.View{as(sums[s[1]], o.out[s[0]].Shape), o.out[s[0]]})
				more, err := cuda.Plan(target, kernels.Accumulate{}, v, v[:1], cuda.View{})
				if err != nil {
					t.Fatal(err)
				}
				steps = append(steps, more...)
			}
			if err := e.Steps(steps); err != nil {
				t.Fatal(err)
			}
			for at, m := range want {
				if !bytes.Equal(m.Bytes, device[at].Bytes) {
					t.Error("an operand has other bits")
				}
			}
			calls[0].In[0] = first.In[c.sums[0][0]-1] // A or B
			calls[0].Out = calls[0].In[:1]
			if _, err := cuda.PlanFollowed(target, first, calls[:1], scratch); err == nil || !strings.Contains(err.Error(), "operand") {
				t.Errorf("accumulated in an operand: %v", err)
			}
		})
	}
}
