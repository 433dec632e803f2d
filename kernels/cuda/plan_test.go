package cuda

import (
	"strings"
	"testing"

	"attune/kernels"
)

type strange struct{ kernels.Add }

func (strange) Name() string { return "strange" }

// What cannot be computed is an error that says why, and takes no scratch.
func TestPlanRefuses(t *testing.T) {
	f32 := func(shape ...int) View { return View{Ptr: 1 << 20, Dtype: kernels.Float32, Shape: shape} }
	odd := f32(4)
	odd.Ptr += 8
	rms, bwd := kernels.RMSNorm{}, kernels.RMSNormBwd{}
	for want, c := range map[string]struct {
		k       kernels.Kernel
		in, out []View
	}{
		"strange: no kernel on cuda":                   {strange{}, nil, nil},
		"add: operand 1 is float32[5]":                 {kernels.Add{}, []View{f32(4), f32(5)}, []View{f32(4)}},
		"add: input 1 is not there":                    {kernels.Add{}, []View{f32(4), {}}, []View{f32(4)}},
		"0x100008, which is not a multiple of 16":      {kernels.Add{}, []View{f32(4), odd}, []View{f32(4)}},
		"over [0] blocks; dimension 0":                 {kernels.Add{}, []View{f32(0), f32(0)}, []View{f32(0)}},
		"over [1 65536] blocks; dimension 1":           {bwd, []View{f32(65536*32, 2), f32(2), f32(65536 * 32), f32(65536*32, 2)}, []View{{}, f32(2)}},
		"rmsnorm: 2 inputs and 3 outputs, takes 2 and": {rms, []View{f32(3, 2), f32(2)}, []View{f32(3, 2), f32(3), f32(3)}},
		"head size 264, at most 256":                   {kernels.Attention{}, []View{f32(1, 1, 264), f32(1, 1, 264), f32(1, 1, 264), {1 << 20, kernels.Int32, []int{1}}}, []View{f32(1, 1, 264)}},
	} {
		if steps, err := Plan(Target{CC: 80}, c.k, c.in, c.out, View{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d steps, error %v, want one with %q", len(steps), err, want)
		}
		if n := Scratch(Target{CC: 80}, c.k, c.in, c.out); n != 0 {
			t.Errorf("%q: %d bytes of scratch", want, n)
		}
	}
	sum, s := []View{f32(100)}, []View{f32()}
	need := Scratch(Target{CC: 80}, kernels.SumSq{}, sum, s)
	if _, err := Plan(Target{CC: 80}, kernels.SumSq{}, sum, s, f32(int(need)/4)); err != nil || need == 0 {
		t.Errorf("with the %d bytes that it needs: %v", need, err)
	}
	if _, err := Plan(Target{CC: 80}, kernels.SumSq{}, sum, s, f32(int(need)/4-1)); err == nil || !strings.Contains(err.Error(), "bytes of scratch, needs") {
		t.Errorf("with too little scratch: %v", err)
	}
}
