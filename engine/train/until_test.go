package train

import (
	"context"
	"reflect"
	"testing"
)

// A run that is stopped after a step, as Options.Until says, saves, and the whole run's last bytes come of it all the same.
func TestUntil(t *testing.T) {
	whole := newRun(t, Options{EvalEvery: 5})
	mustTrain(t, whole)
	o := Options{EvalEvery: 5, Store: store(t.TempDir(), 2)}
	for _, part := range []struct{ until, stops int }{{7, 7}, {5, 7}, {10, 10}, {11, 11}, {steps, steps}, {steps + 5, steps}} {
		o.Until = part.until
		r := newRun(t, o)
		if part.until != 7 {
			goOn(t, r)
		}
		res := mustTrain(t, r)
		if res.Steps != part.stops || res.Until != (part.stops < steps) || res.Interrupted {
			t.Fatalf("until %d: %+v", part.until, res)
		}
		if part.stops == steps && !reflect.DeepEqual(weights(t, r), weights(t, whole)) {
			t.Error("other weights than the unbroken run's")
		}
	}
}

// passed is a context that ends when it was looked at n times.
type passed struct {
	context.Context
	n int
}

func (c *passed) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// A step that is left between two kernels was never begun: the state before it is saved, and the run that goes on from there
// ends with the same weights.
func TestLeftBetweenKernels(t *testing.T) {
	whole := newRun(t, Options{EvalEvery: 5})
	mustTrain(t, whole)
	o := Options{EvalEvery: 5, Store: store(t.TempDir(), 2)}
	r := newRun(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hard := &passed{t.Context(), 1 << 30}
	r.Events.OnStep = func(s Step, _ int) error {
		if s.Step == 7 {
			hard.n = 20 // into step 8
		}
		return nil
	}
	res, err := r.Train(ctx, hard)
	if err != nil || !res.Interrupted || res.Steps != 7 || hard.n >= 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	r = newRun(t, o)
	goOn(t, r)
	mustTrain(t, r)
	if !reflect.DeepEqual(weights(t, r), weights(t, whole)) {
		t.Error("other weights than the unbroken run's")
	}
}
