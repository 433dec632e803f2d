package cuda_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cpu"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// finite fills a float32 or bfloat16 view with random bits that are no NaN: all sizes, denormals and infinities too.
func finite(r *rand.Rand, d kernels.Dtype, shape ...int) optest.View {
	v := emptyView(d, shape)
	for i := 0; i < len(v.Data); i += int(d.Size()) {
		if d == kernels.BFloat16 {
			h := uint16(r.Uint32())
			if h&0x7f80 == 0x7f80 {
				h &^= 0x7f
			}
			binary.LittleEndian.PutUint16(v.Data[i:], h)
			continue
		}
		f := math.Float32frombits(r.Uint32())
		if f != f {
			f = float32(math.Inf(-1))
		}
		binary.LittleEndian.PutUint32(v.Data[i:], math.Float32bits(f))
	}
	return v
}

// moderate are numbers of ordinary size.
func moderate(r *rand.Rand, d kernels.Dtype, shape ...int) optest.View {
	o := &operands{r: r}
	o.floats(d, 4, shape...)
	return o.in[0]
}

func indices(r *rand.Rand, below, n int) optest.View {
	v := emptyView(kernels.Int32, []int{n})
	for i := range n {
		binary.LittleEndian.PutUint32(v.Data[4*i:], uint32(r.IntN(below)))
	}
	return v
}

// Kernels that add and multiply in the processor's order have its bits; but which NaN a NaN is may differ.
func TestBitsOfTheProcessor(t *testing.T) {
	i := slices.IndexFunc(cpu.ISAs(), func(isa string) bool { return isa != "portable" && isa != "go" })
	if i < 0 {
		t.Skip("needs a processor with fused multiply-add: AdamW's moments are a fused product")
	}
	host, err := cpu.New(cpu.Options{Threads: 1, ISA: cpu.ISAs()[i]})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	e := emutest.Open(t, cuda.Target{CC: 80}, emutest.Options{Seed: 2})
	f32, bf16 := kernels.Float32, kernels.BFloat16
	r := rand.New(rand.NewPCG(8, 9))
	type problem struct {
		name    string
		k       kernels.Kernel
		in, out []optest.View
	}
	var problems []problem
	add := func(k kernels.Kernel, in, out []optest.View) {
		problems = append(problems, problem{fmt.Sprintf("%d-%s", len(problems), k.Name()), k, in, out})
	}
	for _, n := range []int{1, 7, 8, 2047, 4100} {
		for _, d := range [][3]kernels.Dtype{{f32, f32, f32}, {bf16, bf16, bf16}, {f32, bf16, f32}, {bf16, f32, bf16}} {
			add(kernels.Add{}, []optest.View{finite(r, d[0], n), finite(r, d[1], n)}, []optest.View{emptyView(d[2], []int{n})})
			add(kernels.ScaleBy{}, []optest.View{finite(r, d[0], n), moderate(r, f32)}, []optest.View{emptyView(d[2], []int{n})})
			add(kernels.Accumulate{}, []optest.View{finite(r, f32, n), finite(r, d[1], n)}, []optest.View{emptyView(f32, []int{n})})
			add(kernels.Embed{}, []optest.View{finite(r, d[0], 9, n), indices(r, 9, 5)}, []optest.View{emptyView(d[2], []int{5, n})})
			add(kernels.EmbedBwd{}, []optest.View{indices(r, 4, 9), moderate(r, d[0], 9, n)}, []optest.View{emptyView(f32, []int{5, n})})
		}
		add(kernels.Rows{}, []optest.View{finite(r, bf16, 5, n), indices(r, 5, 7)}, []optest.View{emptyView(bf16, []int{7, n})})
		v := moderate(r, f32, n)
		for j := 3; j < len(v.Data); j += 4 {
			v.Data[j] &= 0x7f
		}
		hyper := emptyView(f32, []int{4})
		for j, h := range []float32{3e-4, 0.271, 0.003, 0.37} {
			binary.LittleEndian.PutUint32(hyper.Data[4*j:], math.Float32bits(h))
		}
		three := []optest.View{emptyView(f32, []int{n}), emptyView(f32, []int{n}), emptyView(f32, []int{n})}
		add(kernels.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01},
			[]optest.View{moderate(r, f32, n), moderate(r, f32, n), moderate(r, f32, n), v, hyper}, three)
	}
	for _, p := range problems {
		t.Run(p.name, func(t *testing.T) {
			if err := e.Run(p.k, p.in, p.out); err != nil {
				t.Fatal(err)
			}
			var ins, outs []cpu.View
			for _, v := range p.in {
				ins = append(ins, cpu.View(v))
			}
			for _, v := range p.out {
				outs = append(outs, cpu.View(emptyView(v.Dtype, v.Shape)))
			}
			if err := host.Run(p.k, ins, outs, make([]byte, host.Scratch(p.k, ins, outs))); err != nil {
				t.Fatal(err)
			}
			for j, v := range p.out {
				want, got := optest.View(outs[j]), v
				sameNaN(got, want)
				if !bytes.Equal(got.Data, want.Data) {
					t.Errorf("output %d %v%v has other bits than the processor's", j, v.Dtype, v.Shape)
				}
			}
		})
	}
}

// sameNaN gives NaN that stand at the same place in both the same bits.
func sameNaN(a, b optest.View) {
	n, others := int(a.Dtype.Size()), viewFloats(b)
	for i, x := range viewFloats(a) {
		if math.IsNaN(x) && math.IsNaN(others[i]) {
			copy(a.Data[i*n:(i+1)*n], b.Data[i*n:(i+1)*n])
		}
	}
}
