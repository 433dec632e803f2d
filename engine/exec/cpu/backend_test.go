package cpu_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"attune/engine/exec"
	"attune/engine/exec/cpu"
	"attune/engine/exec/exectest"
	"attune/kernels"
	engine "attune/kernels/cpu"
)

func backend(t testing.TB, o engine.Options) *cpu.Backend {
	t.Helper()
	b, err := cpu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func configs() map[string]exectest.Config {
	lora, full := exectest.Small(), exectest.Small()
	lora.Tokens, lora.Hidden, lora.FFN, lora.Dropout = 37, 24, 40, 0.25
	full.Full, full.Tokens, full.Hidden, full.Vocab = true, 19, 36, 70
	return map[string]exectest.Config{"lora": lora, "full": full}
}

func run(t testing.TB, b *cpu.Backend, m *exectest.Model, o exec.Options) [][]byte {
	t.Helper()
	o.Scratch = b.Scratch
	outs, _, err := exectest.Run(b, m, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return outs
}

// On every instruction set: training's loss and gradients are those of the plain loops, in float32 to rounding and in
// bfloat16 about as near as bfloat16's plain loops are to float32.
func TestEqualsReference(t *testing.T) {
	for name, c := range configs() {
		m, err := exectest.Build(c)
		if err != nil {
			t.Fatal(err)
		}
		exact, _, err := exectest.Run(exectest.NewReference(), m, exec.Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, isa := range engine.ISAs() {
			b := backend(t, engine.Options{ISA: isa, Threads: 2})
			for d, tol := range map[kernels.Dtype]float64{kernels.Float32: 2e-5, kernels.BFloat16: 0.06} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, isa, d), func(t *testing.T) {
					for i, got := range run(t, b, m, exec.Options{Activations: d, Storage: storage(m, d)}) {
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

// Outputs in their inputs' memory, recompute and the number of threads change no bit on any instruction set.
func TestLayoutAndThreadsChangeNoBit(t *testing.T) {
	for name, c := range configs() {
		m, err := exectest.Build(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, isa := range engine.ISAs() {
			one, three := backend(t, engine.Options{ISA: isa, Threads: 1}), backend(t, engine.Options{ISA: isa, Threads: 3})
			for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, isa, d), func(t *testing.T) {
					o := exec.Options{Activations: d, Storage: storage(m, d), Layers: m.Layers, NoInPlace: true}
					want := run(t, one, m, o)
					o.NoInPlace = false
					same(t, "in place", run(t, one, m, o), want)
					same(t, "three threads", run(t, three, m, o), want)
					o.Recompute.Layers = 2
					same(t, "recomputed", run(t, three, m, o), want)
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

// A wrapped buffer is read where it lies, and never written.
func TestWrap(t *testing.T) {
	b := backend(t, engine.Options{ISA: "go"})
	data := exectest.Tensor{F: []float32{1, 2, 3, 4}}.Bytes(kernels.Float32)
	whole := append(make([]byte, 1, 17), data...)
	for name, x := range map[string][]byte{"aligned": data, "misaligned": whole[1:]} {
		in := exec.Operand{Buf: cpu.Wrap(x, kernels.Float32), Dtype: kernels.Float32, Shape: []int{4}}
		if moved := &cpu.Bytes(in)[0] != &x[0]; moved != (name == "misaligned") {
			t.Errorf("%s: copied: %v", name, moved)
		}
		buf, err := b.Alloc(16)
		if err != nil {
			t.Fatal(err)
		}
		out := exec.Operand{Buf: buf, Dtype: kernels.Float32, Shape: []int{4}}
		if err := b.Launch(exec.Launch{Kernel: kernels.Add{}, In: []exec.Operand{in, in}, Out: []exec.Operand{out}}); err != nil {
			t.Fatal(err)
		}
		if got := exectest.Floats(cpu.Bytes(out), kernels.Float32); got[0] != 2 || got[3] != 8 {
			t.Errorf("%s: twice (1, 2, 3, 4) is %v", name, got)
		}
		if err := b.Upload(in.Buf, 0, make([]byte, 4)); err == nil {
			t.Errorf("%s: an upload was taken", name)
		}
		if err := b.Launch(exec.Launch{Kernel: kernels.Add{}, In: []exec.Operand{out, out}, Out: []exec.Operand{in}}); err == nil || !strings.Contains(err.Error(), "read only") {
			t.Errorf("%s: written by a kernel: %v", name, err)
		}
		if err := in.Buf.Free(); err != nil {
			t.Error(err)
		}
		if err := buf.Free(); err != nil {
			t.Error(err)
		}
	}
}

// Buffers are zero, aligned, and refuse what lies outside of them.
func TestBuffers(t *testing.T) {
	b := backend(t, engine.Options{ISA: "go"})
	for _, n := range []int64{0, 1, 4096, 3<<20 + 5} {
		buf, err := b.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		got := bytes.Repeat([]byte{1}, int(n))
		if err := b.Download(got, buf, 0); err != nil || bytes.ContainsFunc(got, func(r rune) bool { return r != 0 }) || buf.Bytes() != n {
			t.Errorf("%d bytes: %d, zero: no, or %v", n, buf.Bytes(), err)
		}
		for _, off := range []int64{-1, 1, n, math.MaxInt64} {
			if n > 0 {
				if err := b.Upload(buf, off, make([]byte, n)); err == nil {
					t.Errorf("%d bytes at %d of %d uploaded", n, off, n)
				}
			}
			if cpu.Bytes(exec.Operand{Buf: buf, Off: off, Dtype: kernels.Int32, Shape: []int{int(n)/4 + 1}}) != nil {
				t.Errorf("memory at %d beyond %d", off, n)
			}
		}
		if err := buf.Free(); err != nil {
			t.Error(err)
		}
		if err := buf.Free(); err != nil {
			t.Errorf("freed again: %v", err)
		}
	}
	if _, err := b.Alloc(-1); err == nil {
		t.Error("-1 bytes allocated")
	}
	foreign, err := exectest.NewReference().Alloc(8)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Upload(foreign, 0, make([]byte, 8)); err == nil {
		t.Error("another backend's buffer was taken")
	}
}

// The name says which instruction set runs.
func TestName(t *testing.T) {
	if got := backend(t, engine.Options{ISA: "go"}).Name(); got != "cpu go" {
		t.Errorf("%q", got)
	}
}
