package cpu

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attune/kernels"
)

// operandsOf makes the inputs and outputs of a kernel, the activations stored as d. It draws the same values each time.
type operandsOf func(r *rand.Rand, d kernels.Dtype) (in, out []View)

func (f operandsOf) fresh(d kernels.Dtype) (in, out []View) {
	return f(rand.New(rand.NewPCG(7, 11)), d)
}

// conform holds every instruction set to the float64 reference within kernels.Tol, for float32 and bfloat16 storage;
// then each output alone left out must not change the others, and 2 and 3 threads must give the bits of 1.
func conform(t *testing.T, k kernels.Kernel, f operandsOf) {
	t.Helper()
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		givenIn, givenOut := f.fresh(d)
		want := oracle(k, givenIn, givenOut)
		for _, isa := range ISAs() {
			t.Run(fmt.Sprintf("%s/%s", d, isa), func(t *testing.T) {
				e := newEngine(t, isa, 1)
				out := copies(givenOut)
				runKernel(t, e, k, copies(givenIn), out)
				for i, v := range out {
					within64(t, fmt.Sprintf("output %d", i), v, want[i], k.Tol().Of(d))
				}
				if _, tuned := table(isa)[k.Name()]; !tuned {
					return // the reference itself
				}
				for skip := range out {
					if len(out) > 1 {
						some := copies(givenOut)
						some[skip] = View{}
						runKernel(t, e, k, copies(givenIn), some)
						sameBytes(t, fmt.Sprintf("without output %d", skip), some, out)
					}
				}
				for threads := 2; threads <= 3; threads++ {
					again := copies(givenOut)
					runKernel(t, newEngine(t, isa, threads), k, copies(givenIn), again)
					sameBytes(t, fmt.Sprintf("%d threads", threads), again, out)
				}
			})
		}
	}
}

// inPlace runs k with output pair[1] in the memory of input pair[0], for all pairs at once, and compares bytes with a run
// where every output has its own.
func inPlace(t *testing.T, k kernels.Kernel, f operandsOf, pairs ...[2]int) {
	t.Helper()
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		givenIn, givenOut := f.fresh(d)
		for _, isa := range ISAs()[:len(ISAs())-1] {
			e := newEngine(t, isa, 2)
			in, got, want := copies(givenIn), copies(givenOut), copies(givenOut)
			runKernel(t, e, k, in, want)
			for _, p := range pairs {
				got[p[1]] = in[p[0]]
			}
			runKernel(t, e, k, in, got)
			sameBytes(t, fmt.Sprintf("%s %s %s in place %v", k.Name(), d, isa, pairs), got, want)
		}
	}
}

// copies are views of the same values in memory of their own.
func copies(views []View) []View {
	var out []View
	for _, v := range views {
		c := newView(v.Dtype, v.Shape...)
		copy(c.Data, v.Data)
		out = append(out, c)
	}
	return out
}

func sameBytes(t *testing.T, what string, got, want []View) {
	t.Helper()
	for i, v := range got {
		if v.wanted() && !bytes.Equal(v.Data, want[i].Data) {
			t.Errorf("%s: output %d has other bits", what, i)
		}
	}
}

// within64 is the comparison that kernels.Tol defines.
func within64(t *testing.T, what string, got View, want *kernels.Tensor[float64], tol float64) {
	t.Helper()
	if want == nil {
		return
	}
	var rms float64
	for _, w := range want.F {
		rms += w * w
	}
	rms = math.Sqrt(rms / float64(max(1, len(want.F))))
	for i, w := range want.F {
		if g := get(got, i); !(math.Abs(g-w) <= tol*(math.Abs(w)+rms)+1e-38) {
			t.Fatalf("%s%v: element %d is %.9g, want %.9g (rms %.3g, tolerance %g)", what, got.Shape, i, g, w, rms, tol)
		}
	}
}

// refuses holds that k returns an error that mentions the cause, instead of reading or writing out of bounds.
func refuses(t *testing.T, k kernels.Kernel, in, out []View, cause string) {
	t.Helper()
	for _, isa := range ISAs() {
		if _, tuned := table(isa)[k.Name()]; !tuned {
			continue // the reference trusts its caller
		}
		e := newEngine(t, isa, 1)
		before := make([][]byte, len(out))
		for i, v := range out {
			before[i] = slices.Clone(v.Data)
		}
		err := e.Run(k, in, out, make([]byte, e.Scratch(k, in, out)))
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(cause)) {
			t.Errorf("%s on %s: got error %v, want one with %q", k.Name(), isa, err, cause)
		}
		for i, v := range out {
			if !bytes.Equal(before[i], v.Data) {
				t.Errorf("%s on %s: output %d was written before the error", k.Name(), isa, i)
			}
		}
	}
}

// benchmark reports bytes moved: the size of every operand once.
func benchmark(b *testing.B, k kernels.Kernel, f operandsOf) {
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		b.Run(d.String(), func(b *testing.B) {
			e, err := New(Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			in, out := f.fresh(d)
			scratch := make([]byte, e.Scratch(k, in, out))
			var size int64
			for _, v := range slices.Concat(in, out) {
				size += int64(len(v.Data))
			}
			b.SetBytes(size)
			for b.Loop() {
				if err := e.Run(k, in, out, scratch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
