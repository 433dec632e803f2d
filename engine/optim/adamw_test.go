package optim

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"attune/engine/exec"
	"attune/engine/exec/cpu"
	"attune/engine/exec/exectest"
	"attune/kernels"
	engine "attune/kernels/cpu"

	"pgregory.net/rapid"
)

var defaults = Options{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1}

func param(t testing.TB, b exec.Backend, name string, values []float32, shape ...int) Param {
	t.Helper()
	v := exectest.Tensor{Shape: shape, F: values}
	buf, err := b.Alloc(int64(4 * len(values)))
	if err != nil {
		t.Fatal(err)
	}
	o := exec.Operand{Buf: buf, Dtype: kernels.Float32, Shape: shape}
	if err := exec.Upload(b, o, v.Bytes(kernels.Float32)); err != nil {
		t.Fatal(err)
	}
	return Param{Name: name, Value: o}
}

func read(t testing.TB, b exec.Backend, o exec.Operand) []float32 {
	t.Helper()
	data, err := exec.Download(b, o)
	if err != nil {
		t.Fatal(err)
	}
	return exectest.Floats(data, kernels.Float32)
}

func reference() *exectest.Reference {
	b := exectest.NewReference()
	b.NeedScratch = true
	return b
}

func processor(t testing.TB) exec.Backend {
	t.Helper()
	b, err := cpu.New(engine.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func newAdamW(t testing.TB, b exec.Backend, o Options) (*AdamW, []Param) {
	t.Helper()
	ps := []Param{
		param(t, b, "w", []float32{0.5, -1.25, 2, 0.125, 3, -0.75}, 2, 3),
		param(t, b, "b", []float32{1, 0.25, -2}, 3),
	}
	a, err := NewAdamW(b, ps, o)
	if err != nil {
		t.Fatal(err)
	}
	return a, ps
}

// setGrads accumulates the gradients of step s as a training step would.
func setGrads(t testing.TB, b exec.Backend, a *AdamW, s int) {
	t.Helper()
	if err := a.ZeroGrad(); err != nil {
		t.Fatal(err)
	}
	f := float32(s)
	for name, values := range map[string][]float32{"w": {0.1 * (f + 1), -0.2, 0.3, 0, 1.5 - f, 0.01}, "b": {-0.5, 0.25 * f, 1}} {
		g, err := a.Grad(name)
		if err != nil {
			t.Fatal(err)
		}
		add := param(t, b, "", values, g.Shape...)
		l := exec.Launch{Kernel: kernels.Accumulate{}, In: []exec.Operand{g, add.Value}, Out: []exec.Operand{g}}
		if err := a.backend.Launch(a.scratched(l)); err != nil {
			t.Fatal(err)
		}
	}
}

// step measures the gradients and updates by them.
func step(a *AdamW, lr float64) (float64, error) {
	n, err := a.Norm()
	if err != nil {
		return 0, err
	}
	return n.Global, a.Update(lr, n)
}

func near(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 2e-7*max(1, math.Abs(float64(want[i]))) {
			t.Errorf("%s, element %d: %v, want %v", what, i, got[i], want[i])
		}
	}
}

// Four steps of torch.optim.AdamW (torch 2.15) with torch.nn.utils.clip_grad_norm_ and two groups: w with
// weight_decay 0.1, b with 0; betas (0.9, 0.99), eps 1e-8, lr 0.01·(s+1) in step s; values and gradients as above.
func TestEqualsTorch(t *testing.T) {
	norms := []float64{1.9079046249389648, 1.3162826299667358, 1.4036026000976562, 2.0862884521484375}
	for _, c := range []struct {
		clip          float64
		w, b, exp, sq []float32
	}{
		{
			1,
			[]float32{0.4004098176956177, -1.139035701751709, 1.8815617561340332, 0.12375437468290329, 2.9322309494018555, -0.8410340547561646},
			[]float32{1.098855972290039, 0.17446883022785187, -2.098855972290039},
			[]float32{0.054537318646907806, -0.04235979914665222, 0.06353969871997833, 0, -0.015875715762376785, 0.002117989817634225},
			[]float32{0.003911245614290237, 0.002902159933000803, 0.01564498245716095},
		}, {
			0,
			[]float32{0.39914077520370483, -1.1378931999206543, 1.880419373512268, 0.12375437468290329, 2.9340951442718506, -0.842176616191864},
			[]float32{1.0999999046325684, 0.17569124698638916, -2.0999999046325684},
			[]float32{0.09048999845981598, -0.06877999752759933, 0.1031700074672699, 0, -0.04515000805258751, 0.0034389998763799667},
			[]float32{0.009850997477769852, 0.00871256273239851, 0.03940398991107941},
		},
	} {
		for _, b := range []exec.Backend{reference(), processor(t)} {
			o := defaults
			o.MaxGradNorm = c.clip
			a, ps := newAdamW(t, b, o)
			for s, want := range norms {
				setGrads(t, b, a, s)
				norm, err := step(a, 0.01*float64(s+1))
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(norm-want) > 1e-6*want {
					t.Errorf("%s, step %d: norm %v, want %v", b.Name(), s, norm, want)
				}
			}
			near(t, b.Name()+", w", read(t, b, ps[0].Value), c.w)
			near(t, b.Name()+", b", read(t, b, ps[1].Value), c.b)
			near(t, b.Name()+", w's first moment", read(t, b, a.tensor(a.exp, 0)), c.exp)
			near(t, b.Name()+", b's second moment", read(t, b, a.tensor(a.expSq, 1)), c.sq)
			if a.updates != len(norms) {
				t.Errorf("%d updates", a.updates)
			}
		}
	}
}

// The norm is lengthened by 1e-6 before it divides, as torch does: a gradient of norm 1e-6 clipped to 1e-6 is halved.
func TestClipEpsilon(t *testing.T) {
	b := reference()
	o := defaults
	o.MaxGradNorm = 1e-6
	a, _ := newAdamW(t, b, o)
	g, err := a.Grad("b")
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Upload(b, g, exectest.Tensor{F: []float32{0, -1e-6, 0}}.Bytes(kernels.Float32)); err != nil {
		t.Fatal(err)
	}
	if _, err := step(a, 0.1); err != nil {
		t.Fatal(err)
	}
	if m := read(t, b, a.tensor(a.exp, 1))[1]; math.Abs(float64(m)+0.1*0.5e-6) > 1e-13 {
		t.Errorf("first moment %g after one clipped step, want %g", m, -0.1*0.5e-6)
	}
}

// Saved after k steps and loaded into a new optimizer, the rest of the run has the same bits.
func TestResume(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cut, steps := rapid.IntRange(0, 4).Draw(rt, "cut"), 5
		o := defaults
		o.MaxGradNorm = 0.5
		take := func(b exec.Backend, a *AdamW, from, to int) {
			for s := from; s < to; s++ {
				setGrads(t, b, a, s)
				if _, err := step(a, 0.02); err != nil {
					rt.Fatal(err)
				}
			}
		}
		b := reference()
		whole, want := newAdamW(t, b, o)
		take(b, whole, 0, steps)

		first, values := newAdamW(t, b, o)
		take(b, first, 0, cut)
		saved := map[string][]byte{}
		for _, x := range first.State() {
			var err error
			if saved[x.Name], err = exec.Download(b, x.Value); err != nil {
				rt.Fatal(err)
			}
		}
		second, err := NewAdamW(b, values, o)
		if err != nil {
			rt.Fatal(err)
		}
		if err := second.Load(first.updates, func(name string, _ []int) ([]byte, error) { return saved[name], nil }); err != nil {
			rt.Fatal(err)
		}
		take(b, second, cut, steps)
		for i := range want {
			x, err1 := exec.Download(b, want[i].Value)
			y, err2 := exec.Download(b, values[i].Value)
			if errors.Join(err1, err2) != nil || !bytes.Equal(x, y) {
				rt.Fatalf("%s after a resume at %d: %v, unbroken %v (%v %v)", want[i].Name, cut, y, x, err1, err2)
			}
		}
	})
}

// A gradient that is not finite is told and changes nothing.
func TestNonFiniteGradient(t *testing.T) {
	b := reference()
	a, ps := newAdamW(t, b, defaults)
	before := read(t, b, ps[0].Value)
	g, err := a.Grad("w")
	if err != nil {
		t.Fatal(err)
	}
	bad := exectest.Tensor{F: []float32{0, 0, float32(math.Inf(1)), 0, 0, 0}}
	if err := exec.Upload(b, g, bad.Bytes(kernels.Float32)); err != nil {
		t.Fatal(err)
	}
	if _, err := step(a, 0.1); !errors.Is(err, ErrNonFinite) {
		t.Fatalf("got %v", err)
	}
	near(t, "w", read(t, b, ps[0].Value), before)
	if a.updates != 0 {
		t.Errorf("%d updates counted", a.updates)
	}
}

func TestNewAdamWRefuses(t *testing.T) {
	b := reference()
	w := param(t, b, "w", []float32{1, 2}, 2)
	half := w
	half.Value.Dtype = kernels.BFloat16
	for want, c := range map[string]struct {
		ps     []Param
		change func(*Options)
	}{
		"no parameters":        {nil, func(*Options) {}},
		"two parameters":       {[]Param{w, w}, func(*Options) {}},
		"w is bfloat16":        {[]Param{half}, func(*Options) {}},
		"betas 1 and":          {[]Param{w}, func(o *Options) { o.Beta1 = 1 }},
		"epsilon -1":           {[]Param{w}, func(o *Options) { o.Epsilon = -1 }},
		"weight decay NaN":     {[]Param{w}, func(o *Options) { o.WeightDecay = math.NaN() }},
		"max_grad_norm -0.001": {[]Param{w}, func(o *Options) { o.MaxGradNorm = -0.001 }},
	} {
		o := defaults
		c.change(&o)
		if _, err := NewAdamW(b, c.ps, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something of %q", err, want)
		}
	}
}

// Gradients and two moments are allocated, and Close gives them back.
func TestClose(t *testing.T) {
	b := reference()
	p := param(t, b, "w", make([]float32, 33), 33)
	before := b.Allocated
	a, err := NewAdamW(b, []Param{p}, defaults)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Allocated - before; got < 3*33*4 {
		t.Errorf("%d bytes allocated", got)
	}
	if err := a.Close(); err != nil || b.Allocated != before {
		t.Errorf("%d bytes left, %v", b.Allocated-before, err)
	}
	if _, err := a.Grad("v"); err == nil {
		t.Error("a gradient of no parameter")
	}
}
