package exec_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
)

func run(t testing.TB, m *exectest.Model, o exec.Options, change func(*exec.Runner)) [][]byte {
	t.Helper()
	outs, _, err := exectest.Run(exectest.NewReference(), m, o, change)
	if err != nil {
		t.Fatal(err)
	}
	return outs
}

// runner is a runner of p in an arena of its own.
func runner(t testing.TB, b exec.Backend, p *exec.Program) *exec.Runner {
	t.Helper()
	arena, err := exec.NewArena(b, p)
	if err != nil {
		t.Fatal(err)
	}
	r, err := exec.NewRunner(b, p, arena)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func full() exectest.Config {
	c := exectest.Small()
	c.Full, c.Dropout = true, 0.25
	return c
}

// gorgonia's own machine gives the same loss and the same gradients, bit for bit.
func TestEqualsTapeMachine(t *testing.T) {
	for name, c := range map[string]exectest.Config{"lora": exectest.Small(), "full": full()} {
		t.Run(name, func(t *testing.T) {
			m := build(t, c)
			got := run(t, m, exec.Options{}, nil)

			values := make([]G.Value, 1+len(m.Grads))
			for i, n := range append(G.Nodes{m.Loss}, m.Grads...) {
				G.Read(n, &values[i])
			}
			g := m.Loss.Graph()
			for name, v := range m.Values {
				var backing any = v.F
				if v.I != nil {
					backing = v.I
				}
				if err := G.Let(g.ByName(name)[0], tensor.New(tensor.WithShape(v.Shape...), tensor.WithBacking(backing))); err != nil {
					t.Fatal(err)
				}
			}
			vm := G.NewTapeMachine(g)
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			if err := vm.Close(); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				want := exectest.Tensor{}
				switch d := v.Data().(type) {
				case float32:
					want.F = []float32{d}
				case []float32:
					want.F = d
				}
				if !bytes.Equal(got[i], want.Bytes(kernels.Float32)) {
					t.Errorf("output %d: %v, TapeMachine %v", i, exectest.Floats(got[i], kernels.Float32), want.F)
				}
			}
		})
	}
}

// Recompute, sharing memory and poisoned dead memory change no bit.
func TestLayoutChangesNoBit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, err := exectest.Build(drawConfig(rt))
		if err != nil {
			rt.Fatal(err)
		}
		o := drawOptions(rt, m)
		plain := exec.Options{Activations: o.Activations, NoInPlace: true}
		want := run(t, m, plain, nil)
		got := run(t, m, o, (*exec.Runner).Poison)
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				rt.Fatalf("output %d with %+v: %v, plainly %v", i, o, exectest.Floats(got[i], kernels.Float32), exectest.Floats(want[i], kernels.Float32))
			}
		}
	})
}

// Activations in bfloat16 come near float32, and the gradients are float32 still.
func TestBFloat16(t *testing.T) {
	m := build(t, full())
	want, got := run(t, m, exec.Options{}, nil), run(t, m, exec.Options{Activations: kernels.BFloat16}, nil)
	for i := range want {
		w, g := exectest.Floats(want[i], kernels.Float32), exectest.Floats(got[i], kernels.Float32)
		if len(w) != len(g) {
			t.Fatalf("output %d: %d bytes, in float32 %d", i, len(got[i]), len(want[i]))
		}
		var diff, norm float64
		for j := range w {
			diff += math.Pow(float64(w[j]-g[j]), 2)
			norm += math.Pow(float64(w[j]), 2)
		}
		if math.Sqrt(diff) > 0.05*math.Sqrt(norm) || norm == 0 {
			t.Errorf("output %d is %.3g off of %.3g", i, math.Sqrt(diff), math.Sqrt(norm))
		}
	}
}

// Gradients accumulated over two micro-batches, each with half of the loss's weights, are those of one batch.
func TestAccumulate(t *testing.T) {
	m := build(t, full())
	whole := run(t, m, exec.Options{}, nil)

	b := exectest.NewReference()
	var o exec.Options
	for i, n := range m.Trained {
		o.Accumulate = append(o.Accumulate, exec.Accumulation{Grad: m.Grads[i], Into: "grad." + n})
	}
	p, err := exec.Compile(G.Nodes{m.Loss}, o)
	if err != nil {
		t.Fatal(err)
	}
	r := runner(t, b, p)
	bound, err := exectest.Bind(b, m, r)
	if err != nil {
		t.Fatal(err)
	}
	weights := m.Values["weights"]
	var loss float32
	for half := range 2 {
		part := exectest.Tensor{Shape: weights.Shape, F: make([]float32, len(weights.F))}
		for i, w := range weights.F {
			if i%2 == half {
				part.F[i] = w
			}
		}
		buf, err := b.Alloc(int64(4 * len(part.F)))
		if err != nil {
			t.Fatal(err)
		}
		w := exec.Operand{Buf: buf, Dtype: kernels.Float32, Shape: part.Shape}
		if err := errors.Join(exec.Upload(b, w, part.Bytes(kernels.Float32)), r.Bind("weights", w), r.Run(context.Background())); err != nil {
			t.Fatal(err)
		}
		data, err := exec.Download(b, r.Output(0))
		if err != nil {
			t.Fatal(err)
		}
		loss += exectest.Floats(data, kernels.Float32)[0]
	}
	if want := exectest.Floats(whole[0], kernels.Float32)[0]; math.Abs(float64(loss-want)) > 1e-6*float64(want) {
		t.Errorf("loss %v in two parts, %v in one", loss, want)
	}
	for i, n := range m.Trained {
		data, err := bound.Read("grad." + n)
		if err != nil {
			t.Fatal(err)
		}
		got, want := exectest.Floats(data, kernels.Float32), exectest.Floats(whole[i+1], kernels.Float32)
		for j := range want {
			if math.Abs(float64(got[j]-want[j])) > 1e-6 {
				t.Fatalf("gradient of %s, element %d: %v in two parts, %v in one", n, j, got[j], want[j])
			}
		}
	}
}

// Programs of two lengths take turns in one arena, and each gives what it gives alone.
func TestProgramsShareAnArena(t *testing.T) {
	long, short := exectest.Small(), exectest.Small()
	long.Tokens, short.Tokens = 24, 8
	b := exectest.NewReference()
	models := []*exectest.Model{build(t, short), build(t, long)}
	var programs []*exec.Program
	for _, m := range models {
		programs = append(programs, compile(t, m, exec.Options{}))
	}
	arena, err := exec.NewArena(b, programs...)
	if err != nil {
		t.Fatal(err)
	}
	var runners []*exec.Runner
	for i, m := range models {
		r, err := exec.NewRunner(b, programs[i], arena)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exectest.Bind(b, m, r); err != nil {
			t.Fatal(err)
		}
		runners = append(runners, r)
	}
	for _, i := range []int{0, 1, 0} {
		if err := runners[i].Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for j, want := range run(t, models[i], exec.Options{}, nil) {
			got, err := exec.Download(b, runners[i].Output(j))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("program %d, output %d differs from a run in an arena of its own", i, j)
			}
		}
	}
	small, err := b.Alloc(programs[1].Plan().Arena - 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.NewRunner(b, programs[1], small); err == nil {
		t.Error("an arena too small was taken")
	}
}

// The first NaN is blamed on the operation and the layer it arises in, not where it is seen.
func TestCheckFinite(t *testing.T) {
	check := func(r *exec.Runner) { r.CheckFinite = true }
	for _, c := range []struct {
		weight string
		at     int
		value  float32
		bound  string // "" = the weight is finite, and what it makes is not
		says   string
	}{
		{"layers.1.gate", 5, float32(math.Inf(1)), "layers.1.gate", "linear layers.1.gate (layer 1): layers.1.gate itself is +Inf at element 5 (1 such in all)"},
		{"layers.1.gate", 5, math.MaxFloat32, "", "linear layers.1.gate (layer 1): output 0 is "},
	} {
		m := build(t, exectest.Small())
		m.Values[c.weight].F[c.at] = c.value
		for i := range m.Values[c.weight].F {
			if c.bound == "" {
				m.Values[c.weight].F[i] = c.value
			}
		}
		_, _, err := exectest.Run(exectest.NewReference(), m, exec.Options{Layers: m.Layers}, check)
		var bad *exec.NonFiniteError
		if !errors.As(err, &bad) {
			t.Fatalf("%s is %g: got %v", c.weight, c.value, err)
		}
		if bad.Step.Weight != c.weight || bad.Step.Layer != 1 || bad.Step.Kernel.Name() != "linear" || bad.Output != 0 || bad.Bound != c.bound {
			t.Errorf("%s is %g: blamed %+v", c.weight, c.value, bad)
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("message %q", err)
		}
	}
	m := build(t, exectest.Small())
	if _, _, err := exectest.Run(exectest.NewReference(), m, exec.Options{Layers: m.Layers}, check); err != nil {
		t.Errorf("nothing is wrong, and %v", err)
	}
}

// Backward steps carry the layer they belong to.
func TestBackwardLayers(t *testing.T) {
	m := build(t, exectest.Small())
	for _, s := range compile(t, m, exec.Options{Layers: m.Layers}).Steps() {
		if s.Backward && strings.HasPrefix(s.Weight, "layers.") && !strings.HasPrefix(s.Weight, "layers."+string(rune('0'+s.Layer))) {
			t.Errorf("%v, backward", s)
		}
		if s.Weight == "norm" && s.Layer != -1 {
			t.Errorf("%v is in the head", s)
		}
	}
}

// A cancelled run stops between two steps.
func TestCancel(t *testing.T) {
	m := build(t, exectest.Small())
	b := exectest.NewReference()
	p := compile(t, m, exec.Options{})
	r := runner(t, b, p)
	if err := r.Run(context.Background()); err == nil || !strings.Contains(err.Error(), `"ids"`) {
		t.Errorf("run without inputs: %v", err)
	}
	if _, err := exectest.Bind(b, m, r); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	r.Observe = func(exec.Step, time.Duration) {
		if n++; n == 3 {
			cancel()
		}
	}
	if err := r.Run(ctx); !errors.Is(err, context.Canceled) || n != 3 {
		t.Errorf("after %d steps: %v", n, err)
	}
	r.Observe = nil
	if err := r.Run(context.Background()); err != nil {
		t.Errorf("a run after a cancelled one: %v", err)
	}
}

// Whatever happens, buffers are given back.
func TestNothingLeaks(t *testing.T) {
	b := exectest.NewReference()
	if _, _, err := exectest.Run(b, build(t, full()), exec.Options{}, nil); err != nil {
		t.Fatal(err)
	}
	if b.Allocated != 0 {
		t.Errorf("%d bytes are still allocated", b.Allocated)
	}
}
