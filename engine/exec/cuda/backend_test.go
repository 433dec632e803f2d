//go:build gpu

package cuda

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/kernels"
)

// open opens the GPU, or the emulated one (LD_LIBRARY_PATH=.cache/emu), for the length of a test.
func open(t testing.TB, o Options) *Backend {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
	return b
}

// paths are what a backend may be made of; where there is no cuBLASLt or no Hopper some are the same.
var paths = []string{"", "own", "sm80", "sm80,own"}

func configs() map[string]exectest.Config {
	lora, full := exectest.Small(), exectest.Small()
	lora.Tokens, lora.Hidden, lora.FFN, lora.Dropout = 37, 24, 40, 0.25
	full.Full, full.Tokens, full.Hidden, full.Vocab = true, 19, 36, 70
	return map[string]exectest.Config{"lora": lora, "full": full}
}

// storage keeps frozen weights as the activations.
func storage(m *exectest.Model, d kernels.Dtype) map[string]kernels.Dtype {
	s := map[string]kernels.Dtype{}
	for name, v := range m.Values {
		if v.I == nil && name != "weights" && !strings.Contains(name, "lora") && !m.Config.Full {
			s[name] = d
		}
	}
	return s
}

func model(t *testing.T, c exectest.Config) *exectest.Model {
	t.Helper()
	m, err := exectest.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func run(t *testing.T, b *Backend, m *exectest.Model, o exec.Options, change func(*exec.Runner)) [][]byte {
	t.Helper()
	o.Scratch = b.Scratch
	outs, _, err := exectest.Run(b, m, o, change)
	if err != nil {
		t.Fatal(err)
	}
	return outs
}

// Training's loss and gradients are those of the plain loops, in float32 to rounding and in bfloat16 about as near as
// bfloat16's plain loops are to float32.
func TestEqualsReference(t *testing.T) {
	for name, c := range configs() {
		m := model(t, c)
		exact, _, err := exectest.Run(exectest.NewReference(), m, exec.Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			b := open(t, Options{Path: path})
			for d, tol := range map[kernels.Dtype]float64{kernels.Float32: 2e-5, kernels.BFloat16: 0.06} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, path, d), func(t *testing.T) {
					for i, got := range run(t, b, m, exec.Options{Activations: d, Storage: storage(m, d)}, nil) {
						off, of := distance(exectest.Floats(exact[i], kernels.Float32), exectest.Floats(got, kernels.Float32))
						if !(off <= tol*of) || of == 0 {
							t.Errorf("output %d is off by %.3g of %.3g", i, off, of)
						}
					}
				})
			}
		}
	}
}

// distance is the 2-norm of the difference, and that of want.
func distance(want, got []float32) (off, of float64) {
	if len(want) != len(got) {
		return math.Inf(1), 1
	}
	for i := range want {
		off += math.Pow(float64(want[i]-got[i]), 2)
		of += math.Pow(float64(want[i]), 2)
	}
	return math.Sqrt(off), math.Sqrt(of)
}

// Outputs in their inputs' memory, recompute, a recording, a second backend and other addresses change no bit.
func TestLayoutChangesNoBit(t *testing.T) {
	for name, c := range configs() {
		m := model(t, c)
		for _, path := range paths {
			one, two := open(t, Options{Path: path}), open(t, Options{Path: path})
			if m, err := two.Alloc(300_000); err != nil { // moves what comes after
				t.Fatal(err)
			} else {
				defer func() { _ = m.Free() }()
			}
			for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, path, d), func(t *testing.T) {
					o := exec.Options{Activations: d, Storage: storage(m, d), Layers: m.Layers, NoInPlace: true}
					want := run(t, one, m, o, nil)
					same(t, "elsewhere", run(t, two, m, o, nil), want)
					o.NoInPlace = false
					same(t, "in place", run(t, one, m, o, nil), want)
					same(t, "recorded", run(t, one, m, o, func(r *exec.Runner) {
						r.Recordings = exec.NewRecordings(one, 1, 1<<40)
						for range 2 { // the run to come is the third: a recording's second
							if err := r.Queue(t.Context()); err != nil {
								t.Fatal(err)
							}
						}
					}), want)
					o.Recompute.Layers = 2
					same(t, "recomputed", run(t, two, m, o, nil), want)
				})
			}
		}
	}
}

func same(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s: output %d has other bits", what, i)
		}
	}
}

// tensor is float32 values on the device.
func tensor(t *testing.T, b *Backend, values ...float32) exec.Operand {
	t.Helper()
	data := exectest.Tensor{F: values}.Bytes(kernels.Float32)
	buf, err := b.Alloc(int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := buf.Free(); err != nil {
			t.Error(err)
		}
	})
	o := exec.Operand{Buf: buf, Dtype: kernels.Float32, Shape: []int{len(values)}}
	if err := exec.Upload(b, o, data); err != nil {
		t.Fatal(err)
	}
	return o
}

func values(t *testing.T, b *Backend, o exec.Operand) []float32 {
	t.Helper()
	data, err := exec.Download(b, o)
	if err != nil {
		t.Fatal(err)
	}
	return exectest.Floats(data, kernels.Float32)
}

// What is no operand of this device is refused before anything is queued.
func TestRefusals(t *testing.T) {
	b, other := open(t, Options{}), open(t, Options{})
	x, y := tensor(t, b, 1, 2, 3, 4), tensor(t, other, 1, 2, 3, 4)
	foreign, err := exectest.NewReference().Alloc(16)
	if err != nil {
		t.Fatal(err)
	}
	far := x
	far.Off = 16
	host := x
	host.Buf = foreign
	for name, l := range map[string]exec.Launch{
		"another backend's": {Kernel: kernels.Add{}, In: []exec.Operand{x, host}, Out: []exec.Operand{x}},
		"another device's":  {Kernel: kernels.Add{}, In: []exec.Operand{x, x}, Out: []exec.Operand{y}},
		"beyond its buffer": {Kernel: kernels.Add{}, In: []exec.Operand{far, x}, Out: []exec.Operand{x}},
		"of another shape":  {Kernel: kernels.Add{}, In: []exec.Operand{x, tensor(t, b, 1)}, Out: []exec.Operand{x}},
		"a scratch too far": {Kernel: kernels.Add{}, In: []exec.Operand{x, x}, Out: []exec.Operand{x}, Scratch: exec.Region{Buf: x.Buf, Off: 8, Len: 9}},
		"without its input": {Kernel: kernels.Add{}, In: []exec.Operand{x}, Out: []exec.Operand{x}},
	} {
		if err := b.Launch(l); err == nil {
			t.Errorf("%s was launched", name)
		}
		if _, err := b.Record([]exec.Launch{l}); err == nil {
			t.Errorf("%s was recorded", name)
		}
		if err := b.LaunchAll([]exec.Launch{l, l}); err == nil {
			t.Errorf("%s was launched with others", name)
		}
	}
	for _, off := range []int64{-1, 1, math.MaxInt64} {
		if b.Upload(x.Buf, off, make([]byte, 16)) == nil || b.Download(make([]byte, 16), x.Buf, off) == nil {
			t.Errorf("16 bytes at %d of a buffer of 16", off)
		}
	}
	if err := b.Sync(); err != nil {
		t.Errorf("the device does not go on: %v", err)
	}
	if _, err := New(Options{Path: "fast"}); err == nil || !strings.Contains(err.Error(), "sm80") {
		t.Errorf("a path that is not there: %v", err)
	}
	if _, err := New(Options{Device: 99}); err == nil || !strings.Contains(err.Error(), "CUDA_VISIBLE_DEVICES") {
		t.Errorf("a GPU that is not there: %v", err)
	}
}

// The name has the GPU, its driver and what multiplies; without cuBLASLt products are attune's own, and that is said.
func TestName(t *testing.T) {
	b := open(t, Options{})
	if got := b.Name(); !strings.HasPrefix(got, "cuda ") || !strings.Contains(got, ", cc ") || !strings.Contains(got, ", driver CUDA 1") {
		t.Errorf("%q", got)
	}
	if b.Resident() <= 0 {
		t.Errorf("%d bytes resident", b.Resident())
	}
	none := open(t, Options{Libraries: []string{"/no/such/libcublasLt.so.12"}})
	if !strings.HasSuffix(strings.TrimSuffix(none.Name(), ", sm80 path"), ", own products") || !strings.Contains(none.Warning(), "/no/such/") {
		t.Errorf("%q, warning %q", none.Name(), none.Warning())
	}
	if own := open(t, Options{Path: "own"}); own.Warning() != "" {
		t.Errorf("asked for and warned of: %q", own.Warning())
	}
}
