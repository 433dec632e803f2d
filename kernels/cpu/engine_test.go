package cpu

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"attune/kernels"
)

func TestParallelCallsEachItemOnce(t *testing.T) {
	for threads := 1; threads <= 4; threads++ {
		e := newEngine(t, "go", threads)
		for _, n := range []int{0, 1, 2, 3, 100} {
			calls := make([]atomic.Int32, n)
			busy := make([]atomic.Int32, threads)
			e.parallel(n, func(worker, i int) {
				if busy[worker].Add(1) != 1 {
					t.Errorf("worker %d has two calls at once", worker)
				}
				calls[i].Add(1)
				busy[worker].Add(-1)
			})
			for i := range calls {
				if c := calls[i].Load(); c != 1 {
					t.Errorf("%d threads, %d items: item %d was called %d times", threads, n, i, c)
				}
			}
		}
	}
}

func TestChunksCoverEveryRow(t *testing.T) {
	e := newEngine(t, "go", 3)
	for _, rows := range []int{0, 1, 7, 64, 1000} {
		seen := make([]atomic.Int32, rows)
		e.chunks(rows, 5, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				seen[i].Add(1)
			}
		})
		for i := range seen {
			if seen[i].Load() != 1 {
				t.Fatalf("%d rows: row %d was done %d times", rows, i, seen[i].Load())
			}
		}
	}
}

func TestOperandsAreChecked(t *testing.T) {
	e := newEngine(t, "", 1)
	good := newView(kernels.Float32, 2, 3)
	for what, bad := range map[string]View{
		"20 bytes for float32[2 3], needs 24": {Data: good.Data[:20], Dtype: kernels.Float32, Shape: []int{2, 3}},
		"not a multiple of 4":                 {Data: newView(kernels.Float32, 3, 3).Data[2:26], Dtype: kernels.Float32, Shape: []int{2, 3}},
		"no such dtype":                       {Data: good.Data, Dtype: 77, Shape: []int{2, 3}},
		"negative dimension":                  {Data: good.Data, Dtype: kernels.Float32, Shape: []int{-2, -3}},
	} {
		err := e.Run(kernels.Add{}, []View{good, bad}, []View{newView(kernels.Float32, 2, 3)}, nil)
		if err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "input 1") {
			t.Errorf("got error %v, want one about input 1 with %q", err, what)
		}
	}
}

func TestUnknownISA(t *testing.T) {
	if _, err := New(Options{ISA: "mmx"}); err == nil || !strings.Contains(err.Error(), "go") {
		t.Errorf("got %v, want an error that lists the instruction sets", err)
	}
}

func TestBF16Rounding(t *testing.T) {
	for _, c := range []struct {
		in   float32
		want uint16
	}{
		{1, 0x3f80}, {1 + 1.0/256, 0x3f80}, {1 + 3.0/256, 0x3f82}, {1 + 1.0/256 + 1e-6, 0x3f81},
		{float32(math.Inf(-1)), 0xff80}, {math.MaxFloat32, 0x7f80}, {1e-45, 0}, {float32(math.Copysign(0, -1)), 0x8000},
	} {
		if got := f32ToBF16(c.in); got != c.want {
			t.Errorf("%g gives %#x, want %#x", c.in, got, c.want)
		}
	}
	if got := bf16ToF32(f32ToBF16(float32(math.NaN()))); got == got {
		t.Errorf("NaN gives %g", got)
	}
	for h := range 1 << 16 {
		if f := bf16ToF32(uint16(h)); f == f && f32ToBF16(f) != uint16(h) {
			t.Fatalf("%#x does not survive float32", h)
		}
	}
}

// The reference runs for bfloat16 through copies, rounding once.
func TestReferenceThroughCopies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a, b := normal(r, kernels.BFloat16, 3, 5), normal(r, kernels.Float32, 3, 5)
	out := newView(kernels.BFloat16, 3, 5)
	if err := runReference(kernels.Add{}, []View{a, b}, []View{out}); err != nil {
		t.Fatal(err)
	}
	for i := range out.elems() {
		if want := f32ToBF16(float32(get(a, i)) + float32(get(b, i))); out.u16()[i] != want {
			t.Errorf("element %d is %#x, want %#x", i, out.u16()[i], want)
		}
	}
}
