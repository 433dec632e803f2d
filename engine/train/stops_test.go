package train

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"attune/data/loader"
	"attune/engine/checkpoint"
	"attune/engine/exec"
	"attune/engine/optim"

	"pgregory.net/rapid"
)

// A run that stops for its numbers has not changed anything by them, and says where, what and what to do.
func TestGuardStops(t *testing.T) {
	for _, c := range []struct {
		spike bool
		guard Guard
		says  []string
	}{
		{false, Guard{}, []string{"step 17: the loss is NaN: not a finite number; first linear_cross_entropy", "lower train.learning_rate, or set compute.dtype: float32; the step's rows are rows.jsonl:65-68; guard.nonfinite: skip leaves such steps out"}},
		{true, guardOf(Stop), []string{"step 17: spike: gradient norm 151.3 is 944 standard deviations above the last 8; look at the rows of the step (rows.jsonl:65-68), lower train.learning_rate or train.max_grad_norm; guard.spike: skip leaves such steps out"}},
		{false, Guard{NonFinite: Skip, Most: 1}, []string{"step 20: the loss is NaN: not a finite number; first linear_cross_entropy", "the run left steps out 1 times before (step 17: the loss is NaN), and guard.most is 1: lower train.learning_rate"}},
		{true, Guard{Spike: Skip, ZScore: 3, Window: 8, Most: 1}, []string{"step 20: spike: ", "the run left steps out 1 times before (step 17: spike: gradient norm 151.3 is"}},
		{true, Guard{Spike: Rollback, ZScore: 3, Window: 8, Most: 1}, []string{"step 20: spike: ", "the run left steps out 1 times before (steps 13 to 17: spike: gradient norm 151.3 is"}},
	} {
		r := guarded(t, Options{Guard: c.guard, SaveEvery: 6, Store: quick(t)}, c.spike)
		var before map[string][]byte
		last := 0
		r.Events.OnStep = func(s Step, _ int) error {
			last, before = s.Step, all(t, r)
			return nil
		}
		_, err := r.Train(t.Context(), t.Context())
		if err == nil {
			t.Fatalf("%+v: it goes on", c.guard)
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%+v: got %v, want %q", c.guard, err, s)
			}
		}
		var bad *exec.NonFiniteError
		if errors.Is(err, optim.ErrNonFinite) == c.spike || errors.As(err, &bad) == c.spike {
			t.Errorf("%+v: %#v", c.guard, err)
		}
		if last != r.Done() || !reflect.DeepEqual(all(t, r), before) {
			t.Errorf("%+v: stopped at step %d with other weights than those of step %d", c.guard, r.Done(), last)
		}
	}
}

// Where it is asked for, a step that is left out is named as fully as one that stops the run.
func TestGuardNames(t *testing.T) {
	for _, name := range []bool{true, false} {
		r := guarded(t, Options{Guard: Guard{NonFinite: Skip, Most: 5, Name: name}}, false)
		var told []GuardEvent
		r.Events.OnGuard = func(e GuardEvent) error { told = append(told, e); return nil }
		mustTrain(t, r)
		if len(told) != 2 || strings.HasPrefix(told[0].Why, "the loss is NaN; first linear_cross_entropy ") != name || told[0].Rows != "rows.jsonl:65-68" || told[1].Back != -1 {
			t.Errorf("name %t: %+v", name, told)
		}
		if s := r.state.Guard.Skipped; len(s) != 2 || s[1].Why != told[1].Why {
			t.Errorf("name %t: %+v is kept", name, s)
		}
	}
}

// set gives every element of a trained weight a value.
func set(t *testing.T, r *Run, name string, value float32) {
	t.Helper()
	if err := r.Session.LoadTrained(func(weight string, shape []int) ([]byte, error) {
		ts, err := r.Session.Trained()
		for _, x := range ts {
			if x.Name == weight && weight != name {
				return append([]byte(nil), x.Data...), err
			}
		}
		n := 1
		for _, d := range shape {
			n *= d
		}
		var raw []byte
		for range n {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(value))
		}
		return raw, err
	}); err != nil {
		t.Fatal(err)
	}
}

// A norm that no float32 holds is no number although every gradient is one: the largest is named.
func TestTheNormOverflows(t *testing.T) {
	r := newRun(t, Options{})
	r.Eval = nil
	set(t, r, "model.norm.weight", 1e21)
	_, err := r.Train(t.Context(), t.Context())
	if err == nil || !errors.Is(err, optim.ErrNonFinite) || !strings.Contains(err.Error(), "step 1: the gradient's norm is +Inf: not a finite number; first the gradient of model.") ||
		!strings.Contains(err.Error(), ": each of its elements is finite, and the sum of their squares is +Inf") {
		t.Errorf("got %v", err)
	}
	var bad *exec.NonFiniteError
	if errors.As(err, &bad) {
		t.Errorf("an op is named: %v", bad)
	}
}

// A weight that is no number is named as such, at a step and in an evaluation; the one policy that helps is to go back.
func TestBrokenWeights(t *testing.T) {
	const broken = "model.layers.0.mlp.gate_proj.weight"
	for name, c := range map[string]struct {
		at        int // the weight is broken after this step
		evalEvery int
		guard     Guard
		says      string // "" = the run ends well
		out       int
	}{
		"at a step":                  {at: 8, says: "step 9: the loss is NaN: not a finite number; first linear " + broken + " (layer 0): " + broken + " itself is NaN at element 0"},
		"in an evaluation":           {at: 8, evalEvery: 8, says: "evaluate after step 8: the loss is NaN: not a finite number; first linear " + broken + " (layer 0): " + broken + " itself is NaN at element 0"},
		"skipped":                    {at: 8, guard: Guard{NonFinite: Skip, Most: 3}, says: broken + " itself is NaN"},
		"gone back from":             {at: 8, guard: Guard{NonFinite: Rollback, Most: 3}, out: 3},
		"gone back from, evaluating": {at: 8, evalEvery: 4, guard: Guard{NonFinite: Rollback, Most: 3}, out: 2},
		"broken in what is saved":    {at: 6, guard: Guard{NonFinite: Rollback, Most: 3}, says: "step 10: the loss is NaN: not a finite number; first linear " + broken},
		"the last step of all":       {at: steps, evalEvery: 5, guard: Guard{NonFinite: Rollback, Most: 3}, out: 6},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, Options{Guard: c.guard, EvalEvery: c.evalEvery, SaveEvery: 6, Store: quick(t)})
			var j journal
			j.of(r)
			onStep := r.Events.OnStep
			done := false
			r.Events.OnStep = func(s Step, n int) error {
				if s.Step == c.at && !done {
					done = true
					set(t, r, broken, float32(math.NaN()))
				}
				return onStep(s, n)
			}
			res, err := r.Train(t.Context(), t.Context())
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want %q", err, c.says)
				}
				return
			}
			if err != nil || res.LeftOut != c.out || res.WentBack != 1 || !isFinite(*res.LastEval) {
				t.Errorf("%+v, %v", res, err)
			}
			seen := map[record]bool{}
			for _, l := range j {
				key := record{Step: l.Step, Eval: l.Eval}
				if seen[key] || !isFinite(l.Loss) {
					t.Errorf("twice, or no number: %+v", l)
				}
				seen[key] = true
			}
			for step := 1; step <= steps; step++ {
				if !seen[record{Step: step}] {
					t.Errorf("no line of step %d", step)
				}
			}
		})
	}
}

// What a run goes back to may be damaged: the one before it is used, and that is said. Without any, the run ends.
func TestGoBackPastDamage(t *testing.T) {
	for _, c := range []struct {
		damaged []int
		back    int
	}{{[]int{12}, 6}, {[]int{6, 12}, 0}, {[]int{0, 6, 12}, -1}} {
		o := Options{Guard: Guard{NonFinite: Rollback, Most: 1}, SaveEvery: 6, Store: quick(t)}
		o.Store.Keep = 9
		r := guarded(t, o, false)
		r.Events.OnStep = func(s Step, _ int) error {
			for _, d := range c.damaged {
				if s.Step == 16 {
					if err := os.WriteFile(filepath.Join(o.Store.Dir(d), "weights.safetensors"), []byte("torn"), 0o644); err != nil {
						return err
					}
				}
			}
			return nil
		}
		var told GuardEvent
		stop := errors.New("stop")
		r.Events.OnGuard = func(e GuardEvent) error { told = e; return stop }
		_, err := r.Train(t.Context(), t.Context())
		if c.back < 0 {
			if !errors.Is(err, checkpoint.ErrCorrupt) || !strings.Contains(err.Error(), "step 17: the loss is NaN; go back to a checkpoint: there is none that can be used") {
				t.Errorf("damaged %v: %v", c.damaged, err)
			}
			continue
		}
		if !errors.Is(err, stop) || told.Back != c.back || told.From != c.back+1 || told.To != 17 || len(told.Passed) != len(c.damaged) {
			t.Errorf("damaged %v: %+v, %v", c.damaged, told, err)
		}
	}
}

// The best state of the time that is gone back to is there at the end, though a better one was found and left since.
func TestTheBestStateOfThatTime(t *testing.T) {
	r := guarded(t, Options{Guard: guardOf(Rollback), EvalEvery: 5, LoadBest: true, SaveEvery: 6, Store: quick(t), Until: 18}, true)
	at := map[int]map[string][]byte{}
	r.Events.OnEval = func(e Evaluation) error { at[e.Step] = weights(t, r); return nil }
	if res := mustTrain(t, r); res.WentBack != 1 {
		t.Fatalf("%+v", res)
	}
	c, err := r.Store.Open(10)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := r.Session.LoadTrained(reader(c.Weights)); err != nil {
		t.Fatal(err)
	}
	if r.state.BestStep != 10 || !reflect.DeepEqual(weights(t, r), at[10]) {
		t.Errorf("the best step is %d", r.state.BestStep)
	}
}

// What is gone back to may be of before a change in mid-run: the number of steps is that of the run as it is now, and losses on
// other held-out rows say nothing.
func TestGoBackToBeforeAChange(t *testing.T) {
	o := Options{Guard: guardOf(Rollback), EvalEvery: 5, SaveEvery: 6, Store: quick(t), Until: 14, Identity: map[string]string{"eval": "then"},
		Schedule: optim.Schedule{Name: optim.Constant, LearningRate: 0.02, Steps: steps + 6}}
	mustTrain(t, guarded(t, o, true))
	o.Until, o.Identity, o.Schedule.Steps = 0, map[string]string{"eval": "now"}, steps
	r := guarded(t, o, true)
	c, _, err := o.Store.Latest()
	if err != nil || c.Step != 14 {
		t.Fatal(c, err)
	}
	Forget(&c.State, r.Identity)
	if err := errors.Join(r.Resume(c, "eval", NumberOfSteps), c.Close()); err != nil {
		t.Fatal(err)
	}
	if res := mustTrain(t, r); res.WentBack != 2 || res.FirstEval != nil || res.BestStep <= 14 || r.state.Total != steps {
		t.Errorf("%+v, of %d steps", res, r.state.Total)
	}
}

// A step that trains no token has no loss to be judged by.
func TestAStepWithoutATrainedToken(t *testing.T) {
	es := count(4 * steps)
	for i := range es {
		if i/4+1 == 12 {
			clear(es[i].Weights)
		}
	}
	r := newRun(t, Options{Guard: guardOf(Stop)})
	l, err := loader.New([]loader.Source{{Name: "count", Set: loader.SetOf(es), Weight: 1, Repeat: 1}}, loader.Options{ExamplesPerStep: 4, Steps: steps, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	r.Data = l
	r.Events.OnStep = func(s Step, _ int) error {
		if s.Step == 12 && (s.Loss != 0 || s.GradNorm != 0 || s.TrainedTokens != 0 || len(r.state.Guard.Losses) != 8) {
			t.Errorf("%+v", s)
		}
		for _, loss := range r.state.Guard.Losses {
			if loss == 0 {
				t.Errorf("after step %d the window holds the loss of no token", s.Step)
			}
		}
		return nil
	}
	if res := mustTrain(t, r); res.Steps != steps || res.LeftOut != 0 {
		t.Errorf("%+v", res)
	}
}

// A guard that finds nothing changes nothing.
func TestGuardWithoutSpikes(t *testing.T) {
	off, on := newRun(t, Options{EvalEvery: 5}), newRun(t, Options{EvalEvery: 5, Guard: Guard{NonFinite: Skip, Spike: Skip, ZScore: 6, Window: 16, Most: 1}})
	var a, b journal
	a.of(off)
	b.of(on)
	mustTrain(t, off)
	if res := mustTrain(t, on); res.LeftOut != 0 || len(on.state.Guard.Losses) != 16 || off.state.Guard != nil {
		t.Errorf("%+v, %+v", res, on.state.Guard)
	}
	if !reflect.DeepEqual(all(t, off), all(t, on)) || !reflect.DeepEqual(a, b) {
		t.Error("the guarded run is another")
	}
}

// Steps that several spans have are counted once.
func TestLeftOutCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g checkpoint.GuardState
		out, at, backs := map[int]bool{}, 0, 0
		for range rapid.IntRange(0, 8).Draw(t, "spans") {
			at += rapid.IntRange(max(0, 1-at), 5).Draw(t, "on") // a second one may end at the same step
			from := rapid.IntRange(1, at).Draw(t, "from")
			back := rapid.Bool().Draw(t, "back")
			if back {
				backs++
			}
			g.Skipped = append(g.Skipped, checkpoint.Span{From: from, To: at, RolledBack: back})
			for s := from; s <= at; s++ {
				out[s] = true
			}
		}
		if steps, n := leftOut(&g); steps != len(out) || n != backs {
			t.Fatalf("%d steps in %+v, and %d times back", steps, g.Skipped, n)
		}
	})
}

// The rows of a step are named by the stretches of lines that they lie on, whatever their order in it.
func TestRows(t *testing.T) {
	for want, lines := range map[string][]int{
		"a:5":            {5},
		"a:5-7":          {7, 5, 6},
		"a:2-4, 6-7, 9":  {9, 2, 6, 3, 7, 4},
		"a:1, 3; b:2, 8": {-8, 3, -2, 1},
		"a:4":            {4, 4},
		"a:1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63, 65, 67, 69, 71, 73, 75, " +
			"77, 79, 81, 83, 85, 87, 89, 91, 93, 95, 97, 99, 101, 103, 105, 107, 109, 111, 113, 115, 117, 119, 121, 123, 125, 127 and 2 more": odd(66),
	} {
		es := count(len(lines))
		for i, line := range lines {
			es[i].File, es[i].Line = "a", line
			if line < 0 {
				es[i].File, es[i].Line = "b", -line
			}
		}
		l, err := loader.New([]loader.Source{{Name: "rows", Set: loader.SetOf(es), Weight: 1, Repeat: 1}}, loader.Options{ExamplesPerStep: len(es), Steps: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := (&Run{Data: l}).rows(1); got != want {
			t.Errorf("%v: %q, want %q", lines, got, want)
		}
	}
}

// odd is the first n odd numbers.
func odd(n int) (list []int) {
	for i := range n {
		list = append(list, 2*i+1)
	}
	return list
}
