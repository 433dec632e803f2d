package cpu

import (
	"fmt"

	"attune/kernels"
)

// runReference computes k by package kernels: float32 operands in place, others through float32 copies that are
// rounded back.
func runReference(k kernels.Kernel, in, out []View) error {
	ins, outs := make([]*kernels.Tensor[float32], len(in)), make([]*kernels.Tensor[float32], len(out))
	for i, v := range in {
		t, err := widen(v, true)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		ins[i] = t
	}
	for i, v := range out {
		t, err := widen(v, false)
		if err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
		outs[i] = t
	}
	k.Float32(ins, outs)
	for i, v := range out {
		narrow(v, outs[i])
	}
	for _, i := range writtenInputs(k) {
		narrow(in[i], ins[i])
	}
	return nil
}

// writtenInputs are the inputs that a kernel writes to: the key/value cache.
func writtenInputs(k kernels.Kernel) []int {
	if k.Name() == (kernels.AttentionCached{}).Name() {
		return []int{3, 4}
	}
	return nil
}

// widen gives v as the reference wants it; fill says whether the values matter.
func widen(v View, fill bool) (*kernels.Tensor[float32], error) {
	if !v.wanted() {
		return nil, nil
	}
	t := &kernels.Tensor[float32]{Shape: v.Shape}
	switch v.Dtype {
	case kernels.Float32:
		t.F = v.f32()
	case kernels.Int32:
		t.I = v.i32()
	case kernels.BFloat16:
		t.F = make([]float32, v.elems())
		if fill {
			for i, h := range v.u16() {
				t.F[i] = bf16ToF32(h)
			}
		}
	default:
		return nil, fmt.Errorf("dtype %s is not computed on the processor: store it as float32 or bfloat16", v.Dtype)
	}
	return t, nil
}

// narrow stores t back into v where widen made a copy.
func narrow(v View, t *kernels.Tensor[float32]) {
	if !v.wanted() || v.Dtype != kernels.BFloat16 {
		return
	}
	dst := v.u16()
	for i, f := range t.F {
		dst[i] = f32ToBF16(f)
	}
}
