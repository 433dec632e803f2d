package exec_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
)

func build(t testing.TB, c exectest.Config) *exectest.Model {
	t.Helper()
	m, err := exectest.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compile(t testing.TB, m *exectest.Model, o exec.Options) *exec.Program {
	t.Helper()
	p, err := exec.Compile(append(G.Nodes{m.Loss}, m.Grads...), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Whatever the intervals: two that are alive at once do not meet in memory, and the arena is at least what lives at
// once and at most everything.
func TestFirstFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const steps = 20
		is := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) exec.Interval {
			first := rapid.IntRange(0, steps-1).Draw(t, "first")
			return exec.Interval{First: first, Last: rapid.IntRange(first, steps).Draw(t, "last"), Size: exec.Align * rapid.Int64Range(0, 9).Draw(t, "size")}
		}), 0, 40).Draw(t, "intervals")
		arena, live := exec.Place(is, steps)
		var sum int64
		for i, a := range is {
			sum += a.Size
			if a.Off < 0 || a.Off+a.Size > arena {
				t.Fatalf("%+v outside of the arena of %d", a, arena)
			}
			for _, b := range is[:i] {
				if a.First <= b.Last && b.First <= a.Last && a.Off < b.Off+b.Size && b.Off < a.Off+a.Size {
					t.Fatalf("%+v and %+v overlap in time and memory", a, b)
				}
			}
		}
		if arena < live || arena > sum {
			t.Fatalf("arena %d, alive at once %d, together %d", arena, live, sum)
		}
	})
}

func drawConfig(t *rapid.T) exectest.Config {
	c := exectest.Small()
	c.Layers = rapid.IntRange(1, 3).Draw(t, "layers")
	c.Tokens = rapid.IntRange(2, 40).Draw(t, "tokens")
	c.FFN = rapid.IntRange(1, 50).Draw(t, "ffn")
	c.Rank = rapid.IntRange(0, 3).Draw(t, "rank")
	c.Full = c.Rank == 0 || rapid.Bool().Draw(t, "full")
	if c.Rank > 0 && rapid.Bool().Draw(t, "dropout") {
		c.Dropout = 0.25
	}
	return c
}

func drawOptions(t *rapid.T, m *exectest.Model) exec.Options {
	return exec.Options{
		Activations: rapid.SampledFrom([]kernels.Dtype{kernels.Float32, kernels.BFloat16}).Draw(t, "activations"),
		Layers:      m.Layers,
		Recompute:   exec.Recompute{Layers: rapid.IntRange(0, 4).Draw(t, "recompute")},
		NoInPlace:   rapid.Bool().Draw(t, "no in place"),
		Scratch: func(k kernels.Kernel, in, out []exec.Type) int64 { // any deterministic amount
			return int64(len(k.Name())*len(in)) * 10
		},
	}
}

// Whatever the model: no step reads memory that another value has taken since, and the peak is a lower bound.
func TestNoValueIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := exectest.Build(drawConfig(t))
		if err != nil {
			t.Fatal(err)
		}
		p, err := exec.Compile(append(G.Nodes{m.Loss}, m.Grads...), drawOptions(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.CheckOwnership(); err != nil {
			t.Fatal(err)
		}
		if pl := p.Plan(); pl.Arena < pl.Peak {
			t.Fatalf("arena %d below the peak %d", pl.Arena, pl.Peak)
		}
	})
}

// Two builds of one model give the same plan to the byte.
func TestPlanIsDeterministic(t *testing.T) {
	c := exectest.Small()
	c.Full = true
	describe := func() string {
		m := build(t, c)
		o := exec.Options{Layers: m.Layers, Recompute: exec.Recompute{Layers: 1}}
		for i, n := range m.Trained {
			o.Accumulate = append(o.Accumulate, exec.Accumulation{Grad: m.Grads[i], Into: "grad." + n})
		}
		p := compile(t, m, o)
		return fmt.Sprint(p.Plan(), p.Steps(), p.Inputs(), p.Outputs(), p.Offsets())
	}
	first := describe()
	for range 3 {
		if d := describe(); d != first {
			t.Fatalf("another plan:\n%s\n%s", first, d)
		}
	}
}

// Sharing memory with an input that dies makes the arena smaller and happens where the table says.
func TestInPlaceSaves(t *testing.T) {
	m := build(t, exectest.Small())
	with, without := compile(t, m, exec.Options{}), compile(t, m, exec.Options{NoInPlace: true})
	if with.Overwrites() == 0 || without.Overwrites() != 0 {
		t.Errorf("%d outputs in their input's memory, %d where it is off", with.Overwrites(), without.Overwrites())
	}
	if with.Plan().Peak > without.Plan().Peak {
		t.Errorf("peak %d in place, %d not", with.Plan().Peak, without.Plan().Peak)
	}
}

// An operation that is given one value twice does not write over it.
func TestInPlaceLeavesRepeatedInputs(t *testing.T) {
	g := G.NewGraph()
	input := func(name string, d tensor.Dtype, shape ...int) *G.Node {
		n, err := op.Input(g, name, d, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	w := input("w", G.Float32, 8, 8)
	h, err := op.Linear(kernels.Linear{}, input("x", G.Float32, 4, 8), w)
	if err != nil {
		t.Fatal(err)
	}
	y, err := op.SwiGLU("silu", h, h)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := op.LinearCrossEntropy(kernels.LinearCrossEntropy{}, y, input("head", G.Float32, 5, 8), input("targets", G.Int32, 4), input("weights", G.Float32, 4))
	if err != nil {
		t.Fatal(err)
	}
	grads, err := op.Backward(loss, G.Nodes{w})
	if err != nil {
		t.Fatal(err)
	}
	p, err := exec.Compile(append(G.Nodes{loss}, grads...), exec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckOwnership(); err != nil {
		t.Error(err)
	}
}

// Each further layer recomputed takes more steps and no more memory; a second run makes only what is needed of it.
func TestRecomputePlan(t *testing.T) {
	c := exectest.Small()
	c.Layers, c.Tokens = 6, 64
	m := build(t, c)
	var last exec.Plan
	for n := range c.Layers + 1 {
		p := compile(t, m, exec.Options{Layers: m.Layers, Recompute: exec.Recompute{Layers: n}})
		pl := p.Plan()
		if pl.Recomputed != n || pl.Layers != c.Layers {
			t.Errorf("%d of %d layers recomputed, asked for %d", pl.Recomputed, pl.Layers, n)
		}
		if n > 0 && (pl.Again <= last.Again || pl.Peak > last.Peak || pl.Cost.FLOP <= last.Cost.FLOP) {
			t.Errorf("%d layers: %d steps again, peak %d, %d operations; one fewer: %d, %d, %d", n, pl.Again, pl.Peak, pl.Cost.FLOP, last.Again, last.Peak, last.Cost.FLOP)
		}
		last = pl
		for i, s := range p.Steps() {
			if s.Again && strings.HasSuffix(s.Weight, ".down") && !slices.Contains(p.Unwanted(i), 0) {
				t.Errorf("%v: its output is the next layer's input and was kept; only xA is needed", s)
			}
			if s.Again && (s.Layer < 0 || s.Layer >= n) {
				t.Errorf("%v is not in the first %d layers", s, n)
			}
			if s.Again && s.Kernel.Name() == "linear_cross_entropy" {
				t.Error("the loss is computed twice")
			}
		}
	}
	none := compile(t, m, exec.Options{Layers: m.Layers}).Plan()
	if last.Arena*2 > none.Arena {
		t.Errorf("all of %d layers recomputed take %d bytes, none %d", c.Layers, last.Arena, none.Arena)
	}
}

// Auto is the least number of layers that fits; where none does the error says so.
func TestRecomputeAuto(t *testing.T) {
	c := exectest.Small()
	c.Layers, c.Tokens = 4, 64
	m := build(t, c)
	var arenas []int64
	for n := range c.Layers + 1 {
		arenas = append(arenas, compile(t, m, exec.Options{Layers: m.Layers, Recompute: exec.Recompute{Layers: n}}).Plan().Arena)
	}
	for _, limit := range append(slices.Clone(arenas), arenas[0]*2, arenas[0]-1, arenas[2]+1) {
		want := slices.IndexFunc(arenas, func(a int64) bool { return a <= limit })
		p := compile(t, m, exec.Options{Layers: m.Layers, Recompute: exec.Recompute{Auto: true, Limit: limit}})
		if got := p.Plan(); got.Recomputed != want || got.Arena > limit {
			t.Errorf("limit %d: %d layers and %d bytes, want %d of %v", limit, got.Recomputed, got.Arena, want, arenas)
		}
	}
	_, err := exec.Compile(append(G.Nodes{m.Loss}, m.Grads...), exec.Options{Layers: m.Layers, Recompute: exec.Recompute{Auto: true, Limit: slices.Min(arenas) - 1}})
	if !errors.Is(err, exec.ErrMemory) {
		t.Errorf("limit below all: %v", err)
	}
}

// A gradient that is accumulated does not live beyond the next step: the arena no longer grows with the weights.
func TestAccumulateFreesGradients(t *testing.T) {
	c := exectest.Small()
	c.Full, c.Tokens, c.Vocab = true, 4, 64
	m := build(t, c)
	var acc []exec.Accumulation
	for i, n := range m.Trained {
		acc = append(acc, exec.Accumulation{Grad: m.Grads[i], Into: "grad." + n})
	}
	p, err := exec.Compile(G.Nodes{m.Loss}, exec.Options{Accumulate: acc})
	if err != nil {
		t.Fatal(err)
	}
	if held := compile(t, m, exec.Options{}).Plan(); p.Plan().Arena >= held.Arena {
		t.Errorf("arena %d with accumulation, %d with gradients as outputs", p.Plan().Arena, held.Arena)
	}
	steps, terms := p.Steps(), 0
	for i, s := range steps {
		if s.Kernel.Name() == "accumulate" && s.Weight == "grad.embed" {
			terms++
		}
		if s.Kernel.Name() == "accumulate" && i > 0 && steps[i-1].Node != s.Node {
			t.Errorf("step %d, %v, does not follow the step that makes its gradient but %v", i, s, steps[i-1])
		}
	}
	if terms != 2 {
		t.Errorf("the tied embedding's gradient is accumulated in %d terms, want the loss's and the look-up's", terms)
	}
	var b bytes.Buffer
	for _, in := range p.Inputs() {
		if in.Written {
			b.WriteString(in.Name + " ")
		}
	}
	if got := len(strings.Fields(b.String())); got != len(acc) {
		t.Errorf("%d inputs are written, want %d", got, len(acc))
	}
}
