package cuda_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// A linear operation as it stands in a model.
type projection struct {
	rows, in, out int
	k             kernels.Linear
	act, weight   kernels.Dtype
}

func (p projection) forward() *operands {
	o := &operands{r: rand.New(rand.NewPCG(1, 2))}
	o.floats(p.act, 1, p.rows, p.in)
	o.floats(p.weight, 0.1, p.out, p.in)
	if p.k.Bias {
		o.floats(p.weight, 1, p.out)
	}
	if p.k.Rank > 0 {
		o.floats(kernels.Float32, 0.1, p.k.Rank, p.in)
		o.floats(kernels.Float32, 0.1, p.out, p.k.Rank)
	}
	if p.k.Dropout > 0 {
		o.ints(random(o.r, p.rows)...)
	}
	o.out = []optest.View{emptyView(p.act, []int{p.rows, p.out}), {}}
	if p.k.Rank > 0 {
		o.out[1] = emptyView(kernels.Float32, []int{p.rows, p.k.Rank})
	}
	return o
}

func (p projection) backward() *operands {
	o := &operands{r: rand.New(rand.NewPCG(3, 4))}
	o.floats(p.act, 1, p.rows, p.in)
	o.floats(p.weight, 0.1, p.out, p.in)
	f32, none := kernels.Float32, optest.View{}
	o.out = []optest.View{emptyView(p.act, []int{p.rows, p.in}), emptyView(f32, []int{p.out, p.in}), none, none, none}
	if p.k.Bias {
		o.out[2] = emptyView(f32, []int{p.out})
	}
	if p.k.Rank > 0 {
		o.floats(f32, 0.1, p.k.Rank, p.in)
		o.floats(f32, 0.1, p.out, p.k.Rank)
		o.floats(f32, 1, p.rows, p.k.Rank)
		o.out[3], o.out[4] = emptyView(f32, []int{p.k.Rank, p.in}), emptyView(f32, []int{p.out, p.k.Rank})
	}
	if p.k.Dropout > 0 {
		o.ints(random(o.r, p.rows)...)
	}
	o.floats(p.act, 1, p.rows, p.out)
	return o
}

func (p projection) String() string {
	return fmt.Sprintf("%dx%dx%d/rank=%d/drop=%g/%v-%v", p.rows, p.in, p.out, p.k.Rank, p.k.Dropout, p.act, p.weight)
}

// projections are what the suite has no room for: every width of the thin kernels and past them, several pieces of their
// sums, several tiles.
func projections() (ps []projection) {
	bf16, f32 := kernels.BFloat16, kernels.Float32
	for i, rank := range []int{16, 31, 100, 130} {
		k := kernels.Linear{Bias: i%2 == 0, Rank: rank, Scale: 0.7}
		ps = append(ps, projection{rows: 70, in: 200 + i, out: 136 - i, k: k, act: bf16, weight: bf16})
		k.Dropout, k.Salt = 0.25, 5
		ps = append(ps, projection{rows: 520 + 8*i, in: 72, out: 134, k: k, act: bf16, weight: bf16})
	}
	lora := kernels.Linear{Bias: true, Rank: 12, Scale: 2, Dropout: 0.1, Salt: 3}
	ps = append(ps, projection{rows: 200, in: 144, out: 320, k: lora, act: f32, weight: f32},
		projection{rows: 1030, in: 40, out: 24, k: lora, act: bf16, weight: f32})
	for i, rank := range []int{0, 9, 64, 130} { // as large as Hopper's tiles
		k := kernels.Linear{Bias: true, Rank: rank, Scale: 0.7}
		ps = append(ps, projection{rows: 200, in: 256 + 8*i, out: 136, k: k, act: bf16, weight: bf16})
	}
	for _, rows := range []int{1, 2, 3, 5, 8, 9} { // generation
		k := kernels.Linear{Bias: rows%2 == 0, Rank: 5 * (rows % 3), Scale: 2}
		ps = append(ps, projection{rows: rows, in: 520, out: 61, k: k, act: bf16, weight: bf16})
	}
	return ps
}

// Values, in all targets; the orders and delays of the emulator change no bit, nor does an output that is left out.
func TestProjections(t *testing.T) {
	for name, target := range map[string]cuda.Target{
		"sm80-own": {CC: 80}, "sm80-lt": {CC: 80, Lt: true}, "sm90-own": {CC: 90, Hopper: true}, "sm90-lt": {CC: 90, Lt: true, Hopper: true},
	} {
		e := emutest.Open(t, target, emutest.Options{})
		late := emutest.Open(t, target, emutest.Options{Seed: 5, Async: true})
		for n, p := range projections() {
			t.Run(name+"/"+p.String(), func(t *testing.T) {
				for _, c := range []struct {
					k     kernels.Kernel
					fresh func() *operands
				}{{p.k, p.forward}, {kernels.LinearBwd(p.k), p.backward}} {
					full := c.fresh()
					if err := e.Run(c.k, full.in, full.out); err != nil {
						t.Fatal(err)
					}
					full.compare(t, c.k, p.act)
					for skip := -1; skip < len(full.out); skip++ {
						if skip >= 0 && (n%5 != 0 || full.out[skip].Data == nil) {
							continue
						}
						some := c.fresh()
						if skip >= 0 {
							some.out[skip] = optest.View{}
						}
						if err := late.Run(c.k, some.in, some.out); err != nil {
							t.Fatal(err)
						}
						for i, v := range some.out {
							if i != skip && !bytes.Equal(v.Data, full.out[i].Data) {
								t.Errorf("%s without output %d: output %d has other bits", c.k.Name(), skip, i)
							}
						}
					}
				}
			})
		}
	}
}

// What a frozen projection with LoRA costs in launches, and that the sums in pieces of a wide one stay in bounds.
func TestLinearSteps(t *testing.T) {
	view := func(d kernels.Dtype, shape ...int) cuda.View { return cuda.View{Ptr: 1 << 20, Dtype: d, Shape: shape} }
	bf16, f32, none := kernels.BFloat16, kernels.Float32, cuda.View{}
	const rows, in, out, rank = 16384, 4096, 14336, 64
	forward, backward := kernels.Linear{Rank: rank, Scale: 2}, kernels.LinearBwd{Rank: rank, Scale: 2}
	x, w, a, b := view(bf16, rows, in), view(bf16, out, in), view(f32, rank, in), view(f32, out, rank)
	y, xa := view(bf16, rows, out), view(f32, rows, rank)
	for _, c := range []struct {
		target            cuda.Target
		forward, backward int
	}{
		{cuda.Target{CC: 80}, 3, 5}, {cuda.Target{CC: 80, Lt: true}, 4, 6}, {cuda.Target{CC: 90, Lt: true, Hopper: true}, 3, 5},
	} {
		for _, p := range []struct {
			k       kernels.Kernel
			in, out []cuda.View
			want    int
		}{
			{forward, []cuda.View{x, w, a, b}, []cuda.View{y, xa}, c.forward},
			{backward, []cuda.View{x, w, a, b, xa, y}, []cuda.View{x, none, none, a, b}, c.backward},
		} {
			scratch := cuda.Scratch(c.target, p.k, p.in, p.out)
			if most := int64(100 << 20); scratch > most {
				t.Errorf("%s on %+v: %d bytes of scratch, more than %d", p.k.Name(), c.target, scratch, most)
			}
			steps, err := cuda.Plan(c.target, p.k, p.in, p.out, view(bf16, int(scratch/2)))
			if err != nil {
				t.Fatal(err)
			}
			if len(steps) != p.want {
				t.Errorf("%s on %+v: %d steps, want %d", p.k.Name(), c.target, len(steps), p.want)
			}
		}
	}
}

// One token's projection does not depend on how many are made with it.
func TestGenerationRowByRow(t *testing.T) {
	e := emutest.Open(t, cuda.Target{CC: 80}, emutest.Options{})
	p := projection{rows: 8, in: 77, out: 19, k: kernels.Linear{Rank: 3, Scale: 2}, act: kernels.BFloat16, weight: kernels.BFloat16}
	all := p.forward()
	if err := e.Run(p.k, all.in, all.out); err != nil {
		t.Fatal(err)
	}
	for row := range p.rows {
		one := p.forward()
		one.in[0].Data, one.in[0].Shape = one.in[0].Data[row*2*p.in:(row+1)*2*p.in], []int{1, p.in}
		one.out[0], one.out[1] = emptyView(p.act, []int{1, p.out}), optest.View{}
		if err := e.Run(p.k, one.in, one.out); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one.out[0].Data, all.out[0].Data[row*2*p.out:(row+1)*2*p.out]) {
			t.Errorf("row %d has other bits alone", row)
		}
	}
}
