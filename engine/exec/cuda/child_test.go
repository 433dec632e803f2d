//go:build gpu

package cuda

import (
	"errors"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// again runs the calling test in a process of its own, whose emulated driver reads env when it starts, and gives what it
// wrote. In that process again is nil and the test does what is to be looked at.
func again(t *testing.T, env ...string) func() string {
	t.Helper()
	const mark = "ATTUNE_TEST_AGAIN"
	if os.Getenv(mark) != "" {
		return nil
	}
	return func() string {
		t.Helper()
		cmd := osexec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(append(os.Environ(), mark+"=1"), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return string(out)
	}
}

// emulated skips where the driver is a real one, which does not fail when asked to.
func emulated(t *testing.T) {
	t.Helper()
	b := open(t, Options{})
	if !strings.Contains(b.Name(), "Emulated") {
		t.Skip("needs the emulated driver: make emu, LD_LIBRARY_PATH=.cache/emu")
	}
}

// A kernel that fails on the GPU is told of at the next call, with what may have been it, and at every call after that.
func TestFailuresNameTheStepsSinceTheLastWait(t *testing.T) {
	if run := again(t, "ATTUNE_EMU_FAIL=cuStreamSynchronize:2:700"); run != nil {
		emulated(t)
		run()
		return
	}
	b := open(t, Options{})
	x, y := tensor(t, b, 1, 2, 3, 4), tensor(t, b, 0, 0, 0, 0)
	launch := func(ks ...exec.Launch) {
		for _, l := range ks {
			if err := b.Launch(l); err != nil {
				t.Fatal(err)
			}
		}
	}
	add := exec.Launch{Kernel: kernels.Add{}, In: []exec.Operand{x, x}, Out: []exec.Operand{y}}
	launch(exec.Launch{Kernel: kernels.Zero{}, Out: []exec.Operand{y}})
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	launch(add, add, exec.Launch{Kernel: kernels.Accumulate{}, In: []exec.Operand{y, x}, Out: []exec.Operand{y}})
	first := b.Sync()
	if first == nil || !strings.Contains(first.Error(), "IllegalAddress") || !strings.Contains(first.Error(), "from add to accumulate") {
		t.Errorf("%v", first)
	}
	for name, f := range map[string]func() error{
		"sync":     b.Sync,
		"launch":   func() error { return b.Launch(add) },
		"upload":   func() error { return b.Upload(x.Buf, 0, make([]byte, 16)) },
		"download": func() error { return b.Download(make([]byte, 16), x.Buf, 0) },
		"alloc":    func() error { _, err := b.Alloc(1 << 20); return err },
		"record":   func() error { _, err := b.Record([]exec.Launch{add}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "from add to accumulate") {
			t.Errorf("%s after that: %v", name, err)
		}
	}
}

// Close leaves nothing on the device, whatever was used.
func TestCloseLeavesNothing(t *testing.T) {
	if run := again(t, "ATTUNE_EMU_LEAKS=1"); run != nil {
		emulated(t)
		if out := run(); strings.Contains(out, "not freed") {
			t.Errorf("%s", out)
		}
		return
	}
	m := model(t, exectest.Small())
	for _, path := range paths {
		b, err := New(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		run(t, b, m, exec.Options{Activations: kernels.BFloat16, Storage: storage(m, kernels.BFloat16)}, func(r *exec.Runner) {
			r.Recordings = exec.NewRecordings(b, 1, 1<<40)
			for range 2 {
				if err := r.Queue(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
		buf, err := b.Alloc(4)
		if err != nil {
			t.Fatal(err)
		}
		s := exec.Operand{Buf: buf, Dtype: kernels.Float32}
		if err := b.LaunchAll([]exec.Launch{{Kernel: kernels.SumSq{}, In: []exec.Operand{s}, Out: []exec.Operand{s}}}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(buf.Free(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}

// What fails halfway is undone: memory that cannot be zeroed, a recording whose size cannot be asked for.
func TestFailuresLeaveNothing(t *testing.T) {
	if run := again(t, "ATTUNE_EMU_LEAKS=1", "ATTUNE_EMU_FAIL=cuMemsetD8Async:3:1,cuMemGetInfo:4:1"); run != nil {
		emulated(t)
		if out := run(); strings.Contains(out, "not freed") {
			t.Errorf("%s", out)
		}
		return
	}
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := b.Alloc(16)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Alloc(16)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Alloc(largeBuffer); err == nil {
		t.Error("memory that was not zeroed")
	}
	zero := exec.Launch{Kernel: kernels.Zero{}, Out: []exec.Operand{{Buf: x, Dtype: kernels.Float32, Shape: []int{4}}}}
	if _, err := b.Record([]exec.Launch{zero}); err == nil {
		t.Error("a recording of no known size")
	}
	if err := errors.Join(x.Free(), y.Free(), b.Close()); err != nil {
		t.Error(err)
	}
}

// Where a driver does not capture at all, kernels are launched as ever.
func TestDriverThatDoesNotRecord(t *testing.T) {
	if run := again(t, "ATTUNE_EMU_FAIL=cuStreamBeginCapture:1:801,cuStreamBeginCapture:2:900"); run != nil {
		emulated(t)
		run()
		return
	}
	b := open(t, Options{})
	x := tensor(t, b, 1, 2, 3)
	add := exec.Launch{Kernel: kernels.Add{}, In: []exec.Operand{x, x}, Out: []exec.Operand{x}}
	for range 2 {
		if _, err := b.Record([]exec.Launch{add}); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	}
	if err := b.Launch(add); err != nil {
		t.Fatal(err)
	}
	if got := values(t, b, x); !slices.Equal(got, []float32{2, 4, 6}) {
		t.Errorf("%v", got)
	}
}

// A step of training waits once: what comes before its one download is queued.
func TestAStepWaitsOnce(t *testing.T) {
	log := os.Getenv("ATTUNE_EMU_LOG")
	if run := again(t, "ATTUNE_EMU_LOG="+filepath.Join(t.TempDir(), "log")); run != nil {
		emulated(t)
		run()
		return
	}
	b := open(t, Options{})
	m := model(t, exectest.Small())
	p, err := exec.Compile(append(G.Nodes{m.Loss}, m.Grads...), exec.Options{Scratch: b.Scratch})
	if err != nil {
		t.Fatal(err)
	}
	arena, err := exec.NewArena(b, p)
	if err != nil {
		t.Fatal(err)
	}
	r, err := exec.NewRunner(b, p, arena)
	if err != nil {
		t.Fatal(err)
	}
	r.Recordings = exec.NewRecordings(b, 1, 1<<40)
	bound, err := exectest.Bind(b, m, r)
	if err != nil {
		t.Fatal(err)
	}
	norms := tensor(t, b, make([]float32, 4*len(m.Grads))...)
	var sums []exec.Launch
	for i := range m.Grads {
		g := r.Output(1 + i)
		sums = append(sums, exec.Launch{Kernel: kernels.SumSq{}, In: []exec.Operand{g}, Out: []exec.Operand{{Buf: norms.Buf, Off: int64(16 * i), Dtype: kernels.Float32}}})
	}
	ids, _ := p.Input("ids")
	in, err := b.Alloc(ids.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Bind("ids", exec.Operand{Buf: in, Dtype: ids.Dtype, Shape: ids.Shape}); err != nil {
		t.Fatal(err)
	}
	step := func() {
		for range 3 { // micro-batches
			if err := b.Upload(in, 0, m.Values["ids"].Bytes(kernels.Int32)); err != nil {
				t.Fatal(err)
			}
			if err := r.Queue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.LaunchAll(sums); err != nil {
			t.Fatal(err)
		}
		got := values(t, b, norms)
		for i := range m.Grads {
			if !(got[4*i] > 0) {
				t.Errorf("gradient %d has a norm of %v", i, got[4*i])
			}
		}
	}
	step() // records
	before := calls(t, log)
	step()
	for name, n := range calls(t, log) {
		n -= before[name]
		want := map[string]int{"cuStreamSynchronize": 1, "cuGraphLaunch": 3, "cuMemcpyHtoDAsync": 3, "cuMemcpyDtoHAsync": 1, "cuLaunchKernel": 2}
		switch {
		case slices.Contains([]string{"cuEventRecord", "cuMemsetD8Async"}, name): // wait for nothing
		case n != want[name]:
			t.Errorf("%s was called %d times in a step, want %d", name, n, want[name])
		}
	}
	if err := errors.Join(r.Close(), bound.Free(), in.Free(), arena.Free()); err != nil {
		t.Error(err)
	}
}

var callLine = regexp.MustCompile(`(?m)^(cu\w+) -?\d+`)

// calls counts the lines of the emulated driver's log.
func calls(t *testing.T, log string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, m := range callLine.FindAllSubmatch(text, -1) {
		n[string(m[1])]++
	}
	return n
}

// Every compute capability from 8.0 on has kernels; before that the GPU is refused by what it is.
func TestComputeCapabilities(t *testing.T) {
	if again(t) != nil {
		emulated(t)
		for _, cc := range []string{"80", "86", "87", "89", "90", "100", "120"} {
			out := again(t, "ATTUNE_EMU_CC="+cc)()
			if want := "cc " + cc[:len(cc)-1] + "." + cc[len(cc)-1:]; !strings.Contains(out, want) {
				t.Errorf("no %s in %s", want, out)
			}
		}
		if out := again(t, "ATTUNE_EMU_CC=75")(); !strings.Contains(out, "compute capability 7.5") {
			t.Errorf("%s", out)
		}
		return
	}
	b, err := New(Options{})
	if err != nil {
		t.Log(err)
		return
	}
	t.Log(b.Name())
	x := tensor(t, b, 1, 2, 3)
	if err := b.Launch(exec.Launch{Kernel: kernels.Add{}, In: []exec.Operand{x, x}, Out: []exec.Operand{x}}); err != nil {
		t.Fatal(err)
	}
	if got := values(t, b, x); !slices.Equal(got, []float32{2, 4, 6}) {
		t.Errorf("%v", got)
	}
}
