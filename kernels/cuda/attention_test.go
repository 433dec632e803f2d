package cuda_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// row is a packed row of segments as they lie one behind the other; a negative length is padding.
type row struct {
	segments      []int
	heads, kv, dh int
	k             kernels.Attention
	dtype         kernels.Dtype
}

func (w row) forward() *operands {
	o := &operands{r: rand.New(rand.NewPCG(5, 6))}
	var ids []int32
	for s, n := range w.segments {
		id := int32(s)
		if n < 0 {
			id, n = -1, -n
		}
		ids = append(ids, slices.Repeat([]int32{id}, n)...)
	}
	tokens := len(ids)
	o.floats(w.dtype, 1, tokens, w.heads, w.dh)
	o.floats(w.dtype, 1, tokens, w.kv, w.dh)
	o.floats(w.dtype, 1, tokens, w.kv, w.dh)
	o.ints(ids...)
	o.out = []optest.View{emptyView(w.dtype, []int{tokens, w.heads, w.dh}), emptyView(kernels.Float32, []int{tokens, w.heads})}
	return o
}

// backward has o and lse of the reference, as they are stored.
func (w row) backward() *operands {
	o := w.forward()
	tokens := o.out[0].Shape[0]
	results := []*kernels.Tensor[float64]{
		{Shape: o.out[0].Shape, F: make([]float64, tokens*w.heads*w.dh)}, {Shape: o.out[1].Shape, F: make([]float64, tokens*w.heads)},
	}
	w.k.Float64(o.ref, results)
	for i, r := range results {
		v := o.out[i]
		for j, x := range r.F {
			if v.Dtype == kernels.BFloat16 {
				binary.LittleEndian.PutUint16(v.Data[2*j:], kernels.BFloat16Bits(float32(x)))
			} else {
				binary.LittleEndian.PutUint32(v.Data[4*j:], math.Float32bits(float32(x)))
			}
		}
		o.in, o.ref = append(o.in, v), append(o.ref, &kernels.Tensor[float64]{Shape: v.Shape, F: viewFloats(v)})
	}
	o.floats(w.dtype, 1, tokens, w.heads, w.dh)
	o.out = []optest.View{
		emptyView(w.dtype, []int{tokens, w.heads, w.dh}), emptyView(w.dtype, []int{tokens, w.kv, w.dh}), emptyView(w.dtype, []int{tokens, w.kv, w.dh}),
	}
	return o
}

// Rows of many tiles, with scores that let few keys count, as means of many are smaller than what they are held to: stages go round more than once, windows begin in the middle of a tile, segments and padding end in it.
func TestAttentionOfLongRows(t *testing.T) {
	long := []int{-5, 700, -20, 130, 175}
	for _, target := range []cuda.Target{{CC: 80}, {CC: 90, Hopper: true}} {
		for _, w := range []row{
			{long, 2, 1, 64, kernels.Attention{Scale: 1, Window: 450}, kernels.BFloat16},
			{long, 1, 1, 128, kernels.Attention{Scale: 1}, kernels.BFloat16},
			{long, 1, 1, 24, kernels.Attention{Scale: 0.3, SoftCap: 3, Window: 90}, kernels.Float32},
		} {
			t.Run(fmt.Sprintf("sm%d/%v %d", target.CC, w.dtype, w.dh), func(t *testing.T) {
				e := emutest.Open(t, target, emutest.Options{})
				o := w.forward()
				if err := e.Run(w.k, o.in, o.out); err != nil {
					t.Fatal(err)
				}
				o.compare(t, w.k, w.dtype)
				o, back := w.backward(), kernels.AttentionBwd(w.k)
				if err := e.Run(back, o.in, o.out); err != nil {
					t.Fatal(err)
				}
				o.compare(t, back, w.dtype)
			})
		}
	}
}

// GPUs of 99 KiB of shared memory have a smaller tile for the largest heads; the kernels for them are held, too.
func TestAttentionOfWideHeads(t *testing.T) {
	w := row{[]int{90, -3, 50}, 2, 1, 256, kernels.Attention{Scale: 1.0 / 16}, kernels.BFloat16}
	o := w.forward()
	target := cuda.Target{CC: 86}
	e := emutest.Open(t, target, emutest.Options{Seed: 2, Async: true})
	if err := e.Run(w.k, o.in, o.out); err != nil {
		t.Fatal(err)
	}
	o.compare(t, w.k, w.dtype)
}

// What is launched, by target, dtype and head size; and that no block asks for more shared memory than its GPU has.
func TestAttentionLaunches(t *testing.T) {
	capped := kernels.AttentionBwd{Scale: 1, SoftCap: 30}
	for _, c := range []struct {
		target cuda.Target
		k      kernels.Kernel
		dh     int
		dtype  kernels.Dtype
		want   []string
	}{
		{cuda.Target{CC: 80}, kernels.Attention{Scale: 1}, 128, kernels.BFloat16, []string{"att_spans", "att_fwd_128"}},
		{cuda.Target{CC: 80}, kernels.Attention{Scale: 1}, 72, kernels.BFloat16, []string{"att_spans", "att_fwd_80"}},
		{cuda.Target{CC: 80}, kernels.Attention{Scale: 1}, 256, kernels.BFloat16, []string{"att_spans", "att_fwd_256"}},
		{cuda.Target{CC: 89}, kernels.Attention{Scale: 1}, 256, kernels.BFloat16, []string{"att_spans", "att_fwd_256_small"}},
		{cuda.Target{CC: 120}, kernels.Attention{Scale: 1}, 256, kernels.BFloat16, []string{"att_spans", "att_fwd_256_small"}},
		{cuda.Target{CC: 86}, kernels.Attention{Scale: 1}, 200, kernels.Float32, []string{"att_spans", "att_fwd_f32_256"}},
		{cuda.Target{CC: 90, Hopper: true}, kernels.Attention{Scale: 1}, 256, kernels.BFloat16, []string{"att_spans", "att_fwd_256_sm90"}},
		{cuda.Target{CC: 90, Hopper: true}, kernels.Attention{Scale: 1}, 96, kernels.BFloat16, []string{"att_spans", "att_fwd_96"}},
		{cuda.Target{CC: 90}, kernels.Attention{Scale: 1}, 64, kernels.BFloat16, []string{"att_spans", "att_fwd_64"}},
		{cuda.Target{CC: 86}, kernels.AttentionBwd{Scale: 1}, 128, kernels.BFloat16, []string{"att_spans", "att_delta", "att_dkdv_128", "att_dq_128"}},
		{cuda.Target{CC: 86}, kernels.AttentionBwd{Scale: 1}, 96, kernels.BFloat16, []string{"att_spans", "att_delta", "att_dkdv_96", "att_dq_96"}},
		{cuda.Target{CC: 86}, kernels.AttentionBwd{Scale: 1}, 256, kernels.BFloat16, []string{"att_spans", "att_delta", "att_dk_256", "att_dv_256", "att_dq_256"}},
		{cuda.Target{CC: 86}, kernels.AttentionBwd{Scale: 1}, 256, kernels.Float32, []string{"att_spans", "att_delta", "att_dkdv_f32_256", "att_dq_f32_256"}},
		{cuda.Target{CC: 90, Hopper: true}, kernels.AttentionBwd{Scale: 1}, 64, kernels.BFloat16, []string{"att_spans", "att_delta", "att_dkdv_64_sm90", "att_dq_64_sm90"}},
		{cuda.Target{CC: 90, Hopper: true}, kernels.AttentionBwd{Scale: 1}, 128, kernels.BFloat16, []string{"att_spans", "att_delta", "att_dkdv_128_sm90", "att_dq_128_sm90"}},
		{cuda.Target{CC: 90, Hopper: true}, capped, 128, kernels.BFloat16, []string{"att_spans", "att_delta", "att_dkdv_128", "att_dq_128"}},
	} {
		head := cuda.View{Dtype: c.dtype, Shape: []int{300, 2, c.dh}}
		segments, lse := cuda.View{Dtype: kernels.Int32, Shape: []int{300}}, cuda.View{Dtype: kernels.Float32, Shape: []int{300, 2}}
		in, out := []cuda.View{head, head, head, segments}, []cuda.View{head, lse}
		if _, ok := c.k.(kernels.AttentionBwd); ok {
			in, out = append(in, head, lse, head), []cuda.View{head, head, head}
		}
		scratch := cuda.View{Dtype: kernels.BFloat16, Shape: []int{int(cuda.Scratch(c.target, c.k, in, out)) / 2}}
		steps, err := cuda.Plan(c.target, c.k, in, out, scratch)
		if err != nil {
			t.Errorf("%v %d: %v", c.target, c.dh, err)
			continue
		}
		most := map[int]int{80: 163, 86: 99, 89: 99, 90: 227, 120: 99}[c.target.CC] << 10
		var got []string
		for _, s := range steps {
			l := s.(*cuda.Launch)
			got = append(got, l.Func)
			if int(l.Shared) > most {
				t.Errorf("%v: %s wants %d bytes of shared memory, there are %d", c.target, l.Func, l.Shared, most)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v %s %v %d: launches %v, wants %v", c.target, c.k.Name(), c.dtype, c.dh, got, c.want)
		}
	}
}
