package cpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"attune/kernels"
)

// engines runs f once for every instruction set of this machine, with one thread.
func engines(t *testing.T, f func(t *testing.T, e *Engine)) {
	t.Helper()
	for _, isa := range ISAs() {
		t.Run(isa, func(t *testing.T) { f(t, newEngine(t, isa, 1)) })
	}
}

func newEngine(t *testing.T, isa string, threads int) *Engine {
	t.Helper()
	e, err := New(Options{ISA: isa, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// newView is a zeroed operand.
func newView(d kernels.Dtype, shape ...int) View {
	n := int(d.Size())
	for _, s := range shape {
		n *= s
	}
	// Through uint64, for an address that suits every dtype; one more, so that Data is never nil.
	mem := make([]uint64, n/8+1)
	return View{Data: unsafe.Slice((*byte)(unsafe.Pointer(&mem[0])), len(mem)*8)[:n:n], Dtype: d, Shape: shape}
}

// normal is an operand of normally distributed values, rounded to d.
func normal(r *rand.Rand, d kernels.Dtype, shape ...int) View {
	v := newView(d, shape...)
	for i := range v.elems() {
		set(v, i, r.NormFloat64())
	}
	return v
}

// ints is an int32 operand.
func ints(values []int32, shape ...int) View {
	v := newView(kernels.Int32, shape...)
	copy(v.i32(), values)
	return v
}

func set(v View, i int, x float64) {
	if v.Dtype == kernels.BFloat16 {
		v.u16()[i] = f32ToBF16(float32(x))
		return
	}
	v.f32()[i] = float32(x)
}

func get(v View, i int) float64 {
	if v.Dtype == kernels.BFloat16 {
		return float64(bf16ToF32(v.u16()[i]))
	}
	return float64(v.f32()[i])
}

// oracle runs the float64 reference on copies of the operands and returns its outputs; written inputs are not seen.
func oracle(k kernels.Kernel, in, out []View) []*kernels.Tensor[float64] {
	wide := func(v View) *kernels.Tensor[float64] {
		if !v.wanted() {
			return nil
		}
		t := &kernels.Tensor[float64]{Shape: v.Shape}
		if v.Dtype == kernels.Int32 {
			t.I = slices.Clone(v.i32())
			return t
		}
		t.F = make([]float64, v.elems())
		for i := range t.F {
			t.F[i] = get(v, i)
		}
		return t
	}
	var ins, outs []*kernels.Tensor[float64]
	for _, v := range in {
		ins = append(ins, wide(v))
	}
	for _, v := range out {
		outs = append(outs, wide(v))
	}
	k.Float64(ins, outs)
	return outs
}

// runKernel runs k with exactly the scratch it asks for, filled with NaN so that reading it unwritten shows.
func runKernel(t *testing.T, e *Engine, k kernels.Kernel, in, out []View) {
	t.Helper()
	scratch := make([]byte, e.Scratch(k, in, out))
	for i := range scratch {
		scratch[i] = 0xff
	}
	if err := e.Run(k, in, out, scratch); err != nil {
		t.Fatal(err)
	}
}

// near compares out with want: |out-want| <= tol * the largest |want|, for every element; NaN is never near.
func near(t *testing.T, what string, out View, want *kernels.Tensor[float64], tol float64) {
	t.Helper()
	scale := 0.0
	for _, w := range want.F {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want.F {
		if g := get(out, i); !(math.Abs(g-w) <= tol*max(scale, 1e-30)) {
			t.Fatalf("%s%v: element %d is %g, want %g (largest %g, tolerance %g)", what, out.Shape, i, g, w, scale, tol)
		}
	}
}
