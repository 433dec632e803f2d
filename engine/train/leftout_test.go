package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"attune/data/loader"
	"attune/engine/checkpoint"
	"attune/internal/disk/disktest"
)

// guarded is a run whose steps 17 and 20 go wrong: their rows are of what is not taught, or their loss is no number.
func guarded(t *testing.T, o Options, spike bool) *Run {
	t.Helper()
	es := count(4 * steps)
	for i := range es {
		es[i].File, es[i].Line = "rows.jsonl", i+1
		switch step := i/4 + 1; {
		case step != 17 && step != 20:
		case spike:
			for k := range es[i].IDs {
				es[i].IDs[k] = int32(200 + k*k%31)
			}
		case i%4 == 2:
			es[i].Weights[3] = float32(math.Inf(1))
		}
	}
	r := newRun(t, o)
	l, err := loader.New([]loader.Source{{Name: "count", Set: loader.SetOf(es), Weight: 1, Repeat: 1}}, loader.Options{ExamplesPerStep: 4, Steps: r.Schedule.Steps, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	r.Data = l
	return r
}

// quick is a store that does not wait for the disk.
func quick(t *testing.T) *checkpoint.Store {
	s := store(t.TempDir(), 1)
	s.FS = disktest.New(s.FS)
	return s
}

// guardOf is a guard that does one thing about everything.
func guardOf(p Policy) Guard { return Guard{NonFinite: p, Spike: p, ZScore: 3, Window: 8, Most: 5} }

// record is what metrics.jsonl has of a step or an evaluation.
type record struct {
	Step       int
	Loss, Norm float64
	Eval       bool
	Skipped    string
}

// journal keeps metrics.jsonl's rule: what lies behind a step that was gone back to is taken away.
type journal []record

func (j *journal) cut(done int) {
	for i, r := range *j {
		if r.Step > done {
			*j = (*j)[:i]
			return
		}
	}
}

func (j *journal) of(r *Run) {
	r.Events.OnStep = func(s Step, _ int) error {
		*j = append(*j, record{Step: s.Step, Loss: s.Loss, Norm: s.GradNorm})
		return nil
	}
	r.Events.OnEval = func(e Evaluation) error {
		*j = append(*j, record{Step: e.Step, Loss: e.EvalLoss, Eval: true})
		return nil
	}
	r.Events.OnGuard = func(e GuardEvent) error {
		if e.Back >= 0 {
			j.cut(e.Back)
		}
		for _, l := range e.Lines() {
			*j = append(*j, record{Step: l.Step, Skipped: l.Skipped})
		}
		return nil
	}
}

// all is every trained weight and every moment of the optimizer.
func all(t *testing.T, r *Run) map[string][]byte {
	t.Helper()
	m := weights(t, r)
	for _, x := range r.Optimizer.State() {
		data, err := r.Session.Read(x.Value)
		if err != nil {
			t.Fatal(err)
		}
		m[x.Name] = bytes.Clone(data)
	}
	return m
}

// Steps that are left out were never taken: what a run ends with is what comes of taking the others, each at the learning
// rate of its own number.
func TestStepsAreLeftOut(t *testing.T) {
	for _, spike := range []bool{true, false} {
		for _, c := range []struct {
			policy Policy
			out    []int
			back   int
		}{{Skip, []int{17, 20}, 0}, {Rollback, []int{13, 14, 15, 16, 17, 19, 20}, 2}} {
			want := guarded(t, Options{}, spike)
			for i := range steps {
				p := want.Data.Pack(i, loader.PrefetchOptions{MicroTokens: want.MicroTokens})
				for _, out := range c.out {
					p.Batches = p.Batches[:len(p.Batches)*min(1, max(out-i-1, i+1-out))]
				}
				if len(p.Batches) == 0 {
					continue
				}
				err := want.Optimizer.ZeroGrad()
				for _, b := range p.Batches {
					_, e := want.Session.Accumulate(t.Context(), b)
					err = errors.Join(err, e)
				}
				norm, e := want.Optimizer.Norm()
				if err = errors.Join(err, e, want.Optimizer.Update(want.Schedule.LR(i), norm)); err != nil {
					t.Fatal(err)
				}
			}
			r := guarded(t, Options{Guard: guardOf(c.policy), SaveEvery: 6, Store: quick(t)}, spike)
			var j journal
			j.of(r)
			res := mustTrain(t, r)
			if !reflect.DeepEqual(all(t, r), all(t, want)) {
				t.Errorf("spike %t, %s: not what the other steps make", spike, c.policy)
			}
			if res.Steps != steps || res.LeftOut != len(c.out) || res.WentBack != c.back || r.state.Updates != steps-len(c.out) || r.state.Guard.Interventions != 2 {
				t.Errorf("spike %t, %s: %+v, %+v", spike, c.policy, res, r.state)
			}
			var out, lines []int
			for _, l := range j {
				if l.Skipped != "" {
					out = append(out, l.Step)
				}
				if !l.Eval {
					lines = append(lines, l.Step)
				}
			}
			if !reflect.DeepEqual(out, c.out) || len(lines) != steps || lines[0] != 1 || lines[steps-1] != steps {
				t.Errorf("spike %t, %s: %v are said to be left out, of %v", spike, c.policy, out, lines)
			}
		}
	}
}

var errKilled = errors.New("killed")

// A run that is stopped or killed before, at and after a step that is left out goes on to the bytes of the unbroken one, and
// says the same of every step.
func TestLeftOutAndResumed(t *testing.T) {
	for i, c := range []struct {
		policy Policy
		spike  bool
	}{{Skip, true}, {Skip, false}, {Rollback, true}, {Rollback, false}} {
		options := func() Options {
			return Options{Guard: guardOf(c.policy), EvalEvery: 5, LoadBest: true, SaveEvery: 6, Store: quick(t), Snapshot: true}
		}
		whole := guarded(t, options(), c.spike)
		var want journal
		want.of(whole)
		result := mustTrain(t, whole)
		for k, at := range []int{12, 15, 17, 18, 21} {
			killed := (i+k)%2 == 0 // over both kinds of what goes wrong, each policy is killed at each of these, and stopped
			what := fmt.Sprintf("%s, spike %t, killed %t at step %d", c.policy, c.spike, killed, at)
			o := options()
			r := guarded(t, o, c.spike)
			ctx, cancel := context.WithCancel(t.Context())
			var got journal
			stop := func(step int, note func() error) error {
				if step != at {
					return note()
				}
				if killed {
					return errKilled // its line is lost
				}
				cancel()
				return note()
			}
			got.of(r)
			onStep, onGuard := r.Events.OnStep, r.Events.OnGuard
			r.Events.OnStep = func(s Step, n int) error { return stop(s.Step, func() error { return onStep(s, n) }) }
			r.Events.OnGuard = func(e GuardEvent) error { return stop(e.To, func() error { return onGuard(e) }) }
			res, err := r.Train(ctx, t.Context())
			cancel()
			if killed != errors.Is(err, errKilled) || !killed && (err != nil || !res.Interrupted) {
				t.Fatalf("%s: %+v, %v", what, res, err)
			}
			r = guarded(t, o, c.spike)
			if c, _, err := o.Store.Latest(); err != nil {
				t.Fatal(err)
			} else if c != nil {
				got.cut(c.Step)
				if err := errors.Join(r.Resume(c), c.Close()); err != nil {
					t.Fatal(err)
				}
			} else {
				got = nil
			}
			got.of(r)
			if res, err = r.Train(t.Context(), t.Context()); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if !reflect.DeepEqual(all(t, r), all(t, whole)) {
				t.Errorf("%s: other weights or moments", what)
			}
			a, b := r.state, whole.state
			a.Seconds, b.Seconds, a.Format, a.Random = 0, 0, b.Format, b.Random // what was never written has no versions
			if !reflect.DeepEqual(a, b) {
				t.Errorf("%s: ends as %+v\n(guard %+v), unbroken as %+v\n(guard %+v)", what, a, a.Guard, b, b.Guard)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: said %+v, unbroken %+v", what, got, want)
			}
			if res.LeftOut != result.LeftOut || res.WentBack != result.WentBack {
				t.Errorf("%s: %+v, unbroken %+v", what, res, result)
			}
		}
	}
}

// Killed or without power at any operation around a rollback, a run goes on to the bytes of the unbroken one.
func TestKilledAroundARollback(t *testing.T) {
	start := func(prepare func(*disktest.Faults)) (*Run, *disktest.Faults) {
		r, faults := onFaults(t, prepare)
		o := r.Options
		o.Guard, o.SaveEvery, o.EvalEvery = guardOf(Rollback), 6, 5
		return guarded(t, o, true), faults
	}
	whole, faults := start(func(*disktest.Faults) {})
	mustTrain(t, whole)
	first := -1
	ops := faults.Ops()
	for i, op := range ops {
		if first < 0 && strings.Contains(op.Name, "step-000015") {
			first = i
		}
	}
	dropped := slices.IndexFunc(ops[first:], func(op disktest.Op) bool { return op.Kind == "rename" && strings.HasSuffix(op.Name, "/step-000015") })
	if first < 0 || dropped < 0 {
		t.Fatalf("that of step 15 is not written, or not dropped: %v", ops)
	}
	for i := first; i < len(ops); i += 3 {
		r, faults := start(func(f *disktest.Faults) { f.At(i, disktest.Die()) })
		_, _ = r.Train(t.Context(), t.Context()) // what it could not do is its last words: its process would be gone
		if i%2 == 0 {
			if err := faults.PowerCut(); err != nil {
				t.Fatal(err)
			}
		}
		again := guarded(t, r.Options, true)
		again.Store = healed(t, r).Store
		c, _, err := again.Store.Latest()
		if err != nil || c == nil {
			t.Fatalf("operation %d, %s: nothing to go on from: %v", i, ops[i], err)
		}
		if err := errors.Join(again.Resume(c), c.Close()); err != nil {
			t.Fatal(err)
		}
		from := again.Done()
		mustTrain(t, again)
		if !reflect.DeepEqual(all(t, again), all(t, whole)) {
			t.Errorf("operation %d, %s: gone on with from step %d, it ends with other weights", i, ops[i], from)
		}
	}
	broken := errors.New("the disk is broken")
	r, _ := start(func(f *disktest.Faults) { f.At(first+dropped, disktest.Fail(broken)) })
	var left error
	r.Events.OnGuard = func(e GuardEvent) error { left = errors.Join(left, e.Left); return nil }
	mustTrain(t, r)
	if !errors.Is(left, broken) || !reflect.DeepEqual(all(t, r), all(t, whole)) {
		t.Errorf("what cannot be dropped: %v", left)
	}
}
