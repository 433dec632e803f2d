// Package optest is the one suite that every operation of engine/op goes through. References checks what needs no
// backend: shapes and refusals, the references' gradients against central differences, our reverse sweep against
// gorgonia's differentiation and TapeMachine, outputs left out, padding. Run holds a backend's kernels to the
// references: each operation of op.Table, the kernels of its gradient, and the optimizer's, in every storage in use, with
// 1, 2 and 3 threads. An operation is in the suite as soon as it is in op.Table.
package optest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"attune/kernels"
)

// View is one operand of a kernel in memory: little-endian, dense, row-major. The zero View is an output that is not wanted.
type View struct {
	Data  []byte
	Dtype kernels.Dtype
	Shape []int
}

// Backend runs kernels on operands in the processor's memory.
type Backend interface {
	// Run computes k, scratch memory included. It returns when out is written.
	Run(k kernels.Kernel, in, out []View) error
	Close()
}

// Run holds a backend to the references. open makes one with so many threads; a backend without threads ignores the number.
func Run(t *testing.T, open func(t testing.TB, threads int) Backend) {
	one, two, three := open(t, 1), open(t, 2), open(t, 3)
	defer one.Close()
	defer two.Close()
	defer three.Close()
	for _, s := range storages() {
		for _, p := range problems(t, s) {
			t.Run(fmt.Sprintf("%s/%v", p.name, s), func(t *testing.T) {
				got := p.run(t, one, nil)
				want, wantIn := p.reference()
				p.compare(t, got.out, want, p.kernel.Tol().Of(p.dtype))
				p.compareInputs(t, got.in, wantIn)
				for n, b := range []Backend{two, three} {
					same(t, fmt.Sprintf("%d threads", n+2), p.run(t, b, nil), got, -1)
				}
				p.leaveOut(t, one, got)
				p.poisonPadding(t, one, got)
				p.spreadNaN(t, one)
			})
		}
	}
}

// memory is what one run leaves behind.
type memory struct{ in, out []View }

// run runs p on fresh copies; change may alter them before.
func (p *problem) run(t *testing.T, b Backend, change func(m *memory)) memory {
	t.Helper()
	m := memory{}
	for _, v := range p.in {
		m.in = append(m.in, v.clone())
	}
	for i, v := range p.out {
		if from, ok := p.alias[i]; ok {
			m.out = append(m.out, m.in[from])
			continue
		}
		if v.Data != nil { // old contents must not show through
			v = v.clone()
			for j := range v.Data {
				v.Data[j] = 0xff
			}
		}
		m.out = append(m.out, v)
	}
	if change != nil {
		change(&m)
	}
	if err := b.Run(p.kernel, slices.Clone(m.in), slices.Clone(m.out)); err != nil {
		t.Fatalf("run: %v", err)
	}
	return m
}

// compare is kernels.Tol's rule.
func (p *problem) compare(t *testing.T, got []View, want []*kernels.Tensor[float64], tol float64) {
	t.Helper()
	for i, v := range got {
		if v.Data == nil {
			continue
		}
		g := v.floats()
		if bad, diff := worst(g, want[i].F, tol); bad >= 0 {
			t.Errorf("output %d %v: element %d is %.9g, the reference %.9g: off by %.3g of what the tolerance %g allows",
				i, v.Shape, bad, g[bad], want[i].F[bad], diff, tol)
		}
	}
}

// smallest is the least size an output is taken to have: examples are made of numbers of size 1, and where a result is
// nothing but cancelled terms (the gradient of a softmax over one key) its error is of the size of the terms.
const smallest = 1e-2

// worst is the element that exceeds the tolerance the most, as a multiple of it, or -1.
func worst(got, want []float64, tol float64) (at int, ratio float64) {
	var sum float64
	n := 0
	for _, w := range want {
		if !math.IsNaN(w) && !math.IsInf(w, 0) {
			sum += w * w
			n++
		}
	}
	size := max(smallest, math.Sqrt(sum/float64(max(n, 1))))
	at, ratio = -1, 1
	for i, w := range want {
		if math.IsNaN(w) != math.IsNaN(got[i]) {
			return i, math.Inf(1)
		}
		if w == got[i] || math.IsNaN(w) {
			continue
		}
		// Below the smallest normal float32 numbers lose digits, and some instructions flush them.
		if r := math.Abs(got[i]-w) / (tol*(math.Abs(w)+size) + 1.2e-38); r > ratio {
			at, ratio = i, r
		}
	}
	return at, ratio
}

// compareInputs holds that an input is as before, or as the reference writes it (the caches of attention_cached).
func (p *problem) compareInputs(t *testing.T, got []View, want []*kernels.Tensor[float64]) {
	t.Helper()
	for i, v := range got {
		if p.aliased(i) || v.Dtype == kernels.Int32 {
			continue
		}
		for j, g := range v.floats() {
			if g != want[i].F[j] {
				t.Fatalf("input %d %v: element %d is %g after the run, wants %g", i, v.Shape, j, g, want[i].F[j])
			}
		}
	}
}

// leaveOut runs p with one output not wanted, for each: the others keep their bits.
func (p *problem) leaveOut(t *testing.T, b Backend, full memory) {
	t.Helper()
	for i, v := range p.out {
		if v.Data == nil || len(p.alias) > 0 {
			continue
		}
		m := p.run(t, b, func(m *memory) { m.out[i] = View{} })
		same(t, fmt.Sprintf("output %d left out", i), m, full, i)
	}
}

// poisonPadding runs p with NaN in the rows of inputs that are padding: nothing may change.
func (p *problem) poisonPadding(t *testing.T, b Backend, full memory) {
	t.Helper()
	if len(p.pad) == 0 {
		return
	}
	m := p.run(t, b, func(m *memory) {
		for i, pad := range p.pad {
			m.in[i].setRows(pad, math.NaN())
		}
	})
	same(t, "NaN in the padding", memory{out: m.out}, memory{out: full.out}, -1)
}

// spreadNaN runs p with its first floating-point value NaN: the result has NaN where the reference has it. Elsewhere it
// may have NaN too, as kernels that work in blocks multiply by zero what they mask.
func (p *problem) spreadNaN(t *testing.T, b Backend) {
	t.Helper()
	at := slices.IndexFunc(p.in, func(v View) bool { return v.Dtype != kernels.Int32 && len(v.Data) > 0 })
	if at < 0 || p.pad[at] != nil && p.pad[at](0) {
		return
	}
	q := *p
	q.in = slices.Clone(p.in)
	q.in[at] = q.in[at].clone()
	q.in[at].set(0, math.NaN())
	want, _ := q.reference()
	got := q.run(t, b, nil).out
	for i, v := range got {
		if v.Data == nil {
			continue
		}
		for j, x := range v.floats() {
			if math.IsNaN(want[i].F[j]) && !math.IsNaN(x) {
				t.Errorf("output %d %v: with a NaN in input %d element %d is %g; the reference has NaN there", i, v.Shape, at, j, x)
				break
			}
		}
	}
}

// same compares bits, except of output skip.
func same(t *testing.T, what string, got, want memory, skip int) {
	t.Helper()
	for i := range got.out {
		if i != skip && !bytes.Equal(got.out[i].Data, want.out[i].Data) {
			t.Errorf("%s: output %d has other bits", what, i)
		}
	}
	for i := range got.in {
		if !bytes.Equal(got.in[i].Data, want.in[i].Data) {
			t.Errorf("%s: input %d has other bits", what, i)
		}
	}
}
