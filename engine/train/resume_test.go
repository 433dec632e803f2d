package train

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"attune/data"
)

// goOn resumes a run from the newest checkpoint.
func goOn(t *testing.T, r *Run) {
	t.Helper()
	c, skipped, err := r.Store.Latest()
	if err != nil || c == nil || len(skipped) > 0 {
		t.Fatalf("no checkpoint: %v %v", err, skipped)
	}
	defer c.Close()
	if err := r.Resume(c); err != nil {
		t.Fatal(err)
	}
}

// A run that is stopped, behind a step or in an evaluation, saves, and goes on from there to the same weights.
func TestInterrupted(t *testing.T) {
	whole := newRun(t, Options{EvalEvery: 5})
	var want told
	want.to(whole)
	result := mustTrain(t, whole)
	for name, where := range map[string]struct {
		step   int
		inEval bool
	}{"behind step 7": {7, false}, "in the first evaluation": {0, true}, "in that of step 10": {10, true}, "in the last": {steps, true}} {
		t.Run(name, func(t *testing.T) {
			o := Options{EvalEvery: 5, Store: store(t.TempDir(), 2)}
			r := newRun(t, o)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var got told
			got.to(r)
			onStep, rows := r.Events.OnStep, r.Eval
			r.Events.OnStep = func(s Step, total int) error {
				if s.Step == where.step && !where.inEval {
					cancel()
				}
				return onStep(s, total)
			}
			r.Eval = func(yield func(data.Batch, error) bool) {
				for b, err := range rows {
					more := yield(b, err)
					if r.Done() == where.step && where.inEval {
						cancel()
					}
					if !more {
						return
					}
				}
			}
			res, err := r.Train(ctx, t.Context())
			if err != nil || !res.Interrupted || res.Steps != where.step {
				t.Fatalf("%+v, %v", res, err)
			}
			r = newRun(t, o)
			goOn(t, r)
			got.to(r)
			res = mustTrain(t, r)
			if !reflect.DeepEqual(weights(t, r), weights(t, whole)) {
				t.Error("other weights than the unbroken run's")
			}
			if res.Tokens != result.Tokens || res.BestStep != result.BestStep || *res.LastEval != *result.LastEval || *res.FirstEval != *result.FirstEval {
				t.Errorf("%+v, the unbroken run has %+v", res, result)
			}
			if len(got.steps) != len(want.steps) || len(got.evals) != len(want.evals) {
				t.Errorf("%d steps and %d evaluations in two parts, %d and %d in one", len(got.steps), len(got.evals), len(want.steps), len(want.evals))
			}
		})
	}
}

// The state of another run is refused by the names of all that differs.
func TestResumeNamesWhatChanged(t *testing.T) {
	identity := func(template, recipe string) map[string]string {
		return map[string]string{"model": "m", "template": template, "recipe": recipe}
	}
	o := Options{Store: store(t.TempDir(), 1), Identity: identity("t", "r")}
	r := newRun(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := r.Train(ctx, t.Context()); err != nil || !res.Interrupted {
		t.Fatalf("%+v, %v", res, err)
	}
	c, _, err := r.Store.Latest()
	if err != nil || c == nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tt := range []struct {
		identity map[string]string
		total    int
		want     []string
		says     string
	}{
		{identity("t", "r"), steps, nil, ""},
		{identity("u", "r"), steps, []string{"template"}, "the template has changed since; take what it was, or another run_dir"},
		{identity("u", "s"), steps + 1, []string{"template", "recipe", "number of steps"}, "the template and the recipe and the number of steps have changed since"},
		{identity("t", "r"), steps - 1, []string{"number of steps"}, "the number of steps has changed"},
		{map[string]string{"model": "m", "template": "t", "recipe": "r", "special_tokens": "unknown then"}, steps, nil, ""},
	} {
		r.Identity, c.Total = tt.identity, tt.total
		err := r.Resume(c)
		var changed *ChangedError
		if tt.want == nil {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.As(err, &changed) || !reflect.DeepEqual(changed.Parts, tt.want) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), c.Dir) {
			t.Errorf("got %v, want %q", err, tt.says)
		}
		if err := Check(c, tt.identity, c.Total, "template", "recipe"); err != nil {
			t.Errorf("what is allowed is refused: %v", err)
		}
	}
	if err := Check(c, identity("u", "s"), c.Total, "template"); err == nil || !strings.Contains(err.Error(), "the recipe has changed") {
		t.Errorf("a recipe that is not allowed: %v", err)
	}
}

// A state is that of the identity under which its last step was taken: one that goes on under another, as allowed, is the
// other's from its next step on, and the best state stays whose it was.
func TestAStateKeepsItsIdentity(t *testing.T) {
	dir := t.TempDir()
	under := func(template string, best bool, stop int) Result {
		t.Helper()
		r := newRun(t, Options{EvalEvery: 4, LoadBest: best, Store: store(dir, 1), Identity: map[string]string{"template": template}})
		if c, _, err := store(dir, 1).Latest(); err != nil {
			t.Fatal(err)
		} else if c != nil {
			if err := errors.Join(r.Resume(c, "template"), c.Close()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r.Events.OnStep = func(s Step, _ int) error {
			if s.Step == stop {
				cancel()
			}
			return nil
		}
		if r.Done() == stop {
			cancel()
		}
		bestAt8(r)
		res, err := r.Train(ctx, t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	saved := func() string {
		t.Helper()
		c, _, err := store(dir, 1).Latest()
		if err != nil || c == nil {
			t.Fatal("no checkpoint", err)
		}
		defer c.Close()
		return c.Identity["template"]
	}
	for _, part := range []struct {
		template  string
		best      bool
		stop      int
		is, saved string
	}{
		{"a", true, 10, "a", "a"},
		{"b", true, 10, "a", "a"}, // stopped before its first step
		{"b", true, 11, "b", "b"},
		{"c", true, 0, "a", "c"}, // to the end, and back to the best state, that of step 8
		{"d", false, 0, "c", "c"},
	} {
		if res := under(part.template, part.best, part.stop); res.Trained.Identity["template"] != part.is || saved() != part.saved {
			t.Errorf("%+v: the weights are said to be of %q (%+v), the state of %q", part, res.Trained.Identity, res.Trained, saved())
		}
	}
}
