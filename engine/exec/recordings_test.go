package exec_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"attune/engine/exec"
	"attune/engine/exec/exectest"

	G "gorgonia.org/gorgonia"
)

// recorder is a backend that records, and a runner on it with everything bound.
type recorder struct {
	*exectest.Discrete
	m     *exectest.Model
	p     *exec.Program
	arena exec.Buffer
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	d := exectest.NewDiscrete(exectest.NewReference())
	m := build(t, exectest.Small())
	p, err := exec.Compile(append(G.Nodes{m.Loss}, m.Grads...), exec.Options{Scratch: d.Scratch})
	if err != nil {
		t.Fatal(err)
	}
	arena, err := exec.NewArena(d, p)
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{d, m, p, arena}
}

func (d *recorder) runner(t *testing.T, all *exec.Recordings) (*exec.Runner, *exectest.Bound) {
	t.Helper()
	r, err := exec.NewRunner(d, d.p, d.arena)
	if err != nil {
		t.Fatal(err)
	}
	b, err := exectest.Bind(d, d.m, r)
	if err != nil {
		t.Fatal(err)
	}
	r.Recordings = all
	return r, b
}

// ran runs and gives the outputs.
func (d *recorder) ran(t *testing.T, r *exec.Runner) [][]byte {
	t.Helper()
	if err := r.Queue(t.Context()); err != nil {
		t.Fatal(err)
	}
	var outs [][]byte
	for i := range d.p.Outputs() {
		out, err := exec.Download(d, r.Output(i))
		if err != nil {
			t.Fatal(err)
		}
		outs = append(outs, out)
	}
	return outs
}

func equal(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// From the second run on a program is its recording, on whatever its inputs hold then, and waits for nothing.
func TestRecordedRuns(t *testing.T) {
	d := newRecorder(t)
	want := run(t, d.m, exec.Options{}, nil)
	r, _ := d.runner(t, exec.NewRecordings(d, 4, 1<<20))
	for i := range 4 {
		launched, waits := d.Launched, d.Waits
		if err := r.Queue(t.Context()); err != nil || d.Waits != waits {
			t.Fatalf("run %d: %v, %d waits", i, err, d.Waits-waits)
		}
		if got := d.ran(t, r); !equal(got, want) {
			t.Fatalf("run %d has other results", i)
		}
		if recorded := d.Launched == launched; recorded != (i > 0) {
			t.Errorf("round %d: recorded is %v", i, recorded)
		}
	}
	if d.Recorded != 1 || d.Replayed != 7 {
		t.Errorf("%d recordings, %d runs of them", d.Recorded, d.Replayed)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Queue(ctx); !errors.Is(err, context.Canceled) || d.Replayed != 7 {
		t.Errorf("a run that was called off: %v, %d runs", err, d.Replayed)
	}
	if err := r.Close(); err != nil || d.Alive != 0 {
		t.Errorf("%d recordings are left (%v)", d.Alive, err)
	}
}

// What is bound anew is recorded anew.
func TestBindDropsTheRecording(t *testing.T) {
	d := newRecorder(t)
	r, _ := d.runner(t, exec.NewRecordings(d, 4, 1<<20))
	other, _ := d.runner(t, nil)
	for range 2 {
		d.ran(t, r)
	}
	ids := d.m.Values["ids"]
	changed := slices.Clone(ids.I)
	changed[0] = (changed[0] + 1) % int32(d.m.Config.Vocab)
	in, _ := d.p.Input("ids")
	buf, err := d.Alloc(in.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	o := exec.Operand{Buf: buf, Dtype: in.Dtype, Shape: in.Shape}
	if err := exec.Upload(d, o, exectest.Tensor{I: changed}.Bytes(in.Dtype)); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*exec.Runner{r, other} {
		if err := x.Bind("ids", o); err != nil {
			t.Fatal(err)
		}
	}
	if d.Alive != 0 {
		t.Errorf("%d recordings of what is no longer bound", d.Alive)
	}
	want := d.ran(t, other)
	for i := range 3 {
		if !equal(d.ran(t, r), want) {
			t.Errorf("run %d after Bind has other results", i)
		}
	}
	if d.Recorded != 2 {
		t.Errorf("%d recordings", d.Recorded)
	}
}

// Runs that are looked into, or that cannot be recorded, launch every step.
func TestNotRecorded(t *testing.T) {
	for name, c := range map[string]func(*recorder, *exec.Runner){
		"CheckFinite":   func(_ *recorder, r *exec.Runner) { r.CheckFinite = true },
		"Observe":       func(_ *recorder, r *exec.Runner) { r.Observe = func(exec.Step, time.Duration) {} },
		"none are kept": func(_ *recorder, r *exec.Runner) { r.Recordings = nil },
		"cannot":        func(d *recorder, _ *exec.Runner) { d.NoRecordings = true },
		"no memory":     func(d *recorder, _ *exec.Runner) { d.NoRoom = true },
		"most is 0":     func(d *recorder, r *exec.Runner) { r.Recordings = exec.NewRecordings(d, 0, 1<<20) },
		"no such backend": func(_ *recorder, r *exec.Runner) {
			r.Recordings = exec.NewRecordings(exectest.NewReference(), 4, 1<<20)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newRecorder(t)
			want := run(t, d.m, exec.Options{}, nil)
			r, _ := d.runner(t, exec.NewRecordings(d, 4, 1<<20))
			c(d, r)
			for range 3 {
				if !equal(d.ran(t, r), want) {
					t.Error("other results")
				}
			}
			if d.Recorded != 0 {
				t.Errorf("%d recordings", d.Recorded)
			}
		})
	}
}

// So many recordings stay, within so many bytes, and the one that was not run for the longest goes.
func TestRecordingsAreBounded(t *testing.T) {
	for _, c := range []struct {
		most  int
		share float64 // of the bytes that 5 take
		alive int
	}{{2, 1, 2}, {5, 1, 5}, {5, 0.65, 3}, {5, 0, 1}} {
		d := newRecorder(t)
		one, err := d.Record(make([]exec.Launch, len(d.p.Steps())))
		if err != nil {
			t.Fatal(err)
		}
		all := exec.NewRecordings(d, c.most, int64(c.share*5*float64(one.Bytes())))
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		d.MostAlive = 0
		want := run(t, d.m, exec.Options{}, nil)
		var runners []*exec.Runner
		for range 5 {
			r, _ := d.runner(t, all)
			runners = append(runners, r)
			d.ran(t, r)
		}
		for range 2 {
			for i, r := range runners {
				if !equal(d.ran(t, r), want) {
					t.Fatalf("runner %d has other results", i)
				}
			}
		}
		if d.Alive != c.alive || d.MostAlive > c.most {
			t.Errorf("%+v: %d recordings alive, %d at most", c, d.Alive, d.MostAlive)
		}
		if c.alive < 2 {
			continue
		}
		// the last two stay through runs of a third
		kept := runners[len(runners)-1]
		for range 2 {
			d.ran(t, runners[0])
		}
		replayed := d.Replayed
		if d.ran(t, kept); d.Replayed != replayed+1 {
			t.Errorf("%+v: the newest but one was dropped", c)
		}
	}
}
