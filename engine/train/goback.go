package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"attune/engine/checkpoint"
	"attune/engine/optim"
)

// Where the guard may go back, the checkpoints that it goes back to are those that are scheduled, the one before the first
// step among them, and not those of a signal or of a best evaluation: a run that was interrupted must go back to where the
// unbroken one does.

// scheduled is the newest step up to this one after which a checkpoint is due.
func (r *Run) scheduled(step int) int {
	if r.SaveEvery == 0 {
		return 0
	}
	return step - step%r.SaveEvery
}

// place is a checkpoint that the guard can go back to.
type place struct {
	step int
	best int // the best step of the run then: 0 = none
}

// beginGuard finds what the guard of a run that goes on would go back to, so that it stays.
func (r *Run) beginGuard() error {
	if !r.Guard.rollsBack() || r.Store == nil || r.state.Step == 0 {
		return nil
	}
	if r.scheduled(r.state.Step) == r.state.Step {
		r.back = place{r.state.Step, r.state.BestStep}
		return nil
	}
	c, _, err := r.openScheduled(r.state.Step)
	if err != nil {
		return nil // told when the run is to go back
	}
	r.back = place{c.Step, c.BestStep}
	return c.Close()
}

// saveBeginning keeps the state before the first step, which the guard may go back to.
func (r *Run) saveBeginning() error {
	if !r.Guard.rollsBack() || r.state.Step > 0 || r.saved {
		return nil
	}
	return r.saveDue()
}

// stay are the steps whose checkpoints are not removed when that of st is written.
func (r *Run) stay(st checkpoint.State) []int {
	var steps []int
	if st.BestStep > 0 {
		steps = append(steps, st.BestStep)
	}
	if r.Guard.rollsBack() && r.scheduled(st.Step) != st.Step {
		steps = append(steps, r.back.step)
		if r.back.best > 0 {
			steps = append(steps, r.back.best)
		}
	}
	return steps
}

// goBack puts weights, optimizer and counters where the newest scheduled checkpoint that can be used has them, and removes
// those of the steps since, which are no longer this run's.
func (r *Run) goBack(e *GuardEvent) error {
	if err := r.settle(); err != nil {
		return err
	}
	c, passed, err := r.openScheduled(e.To - 1)
	if err != nil {
		return err
	}
	err = r.load(c)
	if err = errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	e.Left = r.Store.Drop(c.Step+1, r.state.Step) // before metrics.jsonl is cut: a checkpoint counts on its lines
	Forget(&c.State, r.Identity)
	c.Total, c.Seconds, c.EvalDue, c.Stopped = r.state.Total, r.state.Seconds, false, "" // it may be of before a change in mid-run
	r.state, r.evaluated = c.State, -1
	r.back = place{c.Step, c.BestStep}
	r.saves.whole, r.saves.any = c.Step, true
	e.From, e.Back, e.Passed = c.Step+1, c.Step, passed
	return nil
}

// openScheduled opens the newest scheduled checkpoint up to step that can be used; passed are those that cannot.
func (r *Run) openScheduled(step int) (c *checkpoint.Checkpoint, passed []error, err error) {
	if r.Store == nil {
		return nil, nil, errors.New("the run keeps none")
	}
	for at := r.scheduled(step); at >= 0; at -= r.SaveEvery {
		c, err := r.Store.Open(at)
		if err == nil {
			return c, passed, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			passed = append(passed, err)
		}
		if r.SaveEvery == 0 {
			break
		}
	}
	return nil, passed, errors.Join(append([]error{errors.New("there is none that can be used")}, passed...)...)
}

// evaluateOrGoBack evaluates. Where the loss of the held-out rows is no number and the guard goes back for that, it does, and
// what it went back to is evaluated in place of it.
func (r *Run) evaluateOrGoBack(ctx context.Context) error {
	for {
		err := r.evaluate(ctx)
		if !errors.Is(err, optim.ErrNonFinite) || r.Guard.NonFinite != Rollback || r.state.Step == 0 {
			return err
		}
		if err := r.leaveOut(r.state.Step, verdict{policy: Rollback, why: "the loss of the held-out rows is no number"}, nil); err != nil {
			return err
		}
		r.state.EvalDue = true
	}
}
