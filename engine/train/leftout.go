package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"attune/data"
	"attune/engine/checkpoint"
	"attune/engine/exec"
	"attune/engine/optim"
)

// GuardEvent tells that steps were left out.
type GuardEvent struct {
	From, To int     // the steps; To is the one whose numbers went wrong
	Back     int     // the step of the checkpoint that the run went back to; -1 = none
	Why      string  // what was wrong with To
	Rows     string  // where the rows of To are; "" = it was in an evaluation
	Passed   []error // newer checkpoints that were to be gone back to and cannot be used
	Left     error   // why checkpoints of what was gone back from are still there
}

// LeftOut is a step that was left out, a line of metrics.jsonl.
type LeftOut struct {
	Step    int    `json:"step"`
	Skipped string `json:"skipped"` // why
}

// Lines are the steps that were left out, each once. Where the run went back, they stand in the place of all that was said
// of the steps after Back.
func (e GuardEvent) Lines() []LeftOut {
	why := e.Why
	if e.Back >= 0 {
		why = fmt.Sprintf("step %d: %s; back to step %d", e.To, e.Why, e.Back)
	}
	lines := make([]LeftOut, 0, e.To-e.From+1)
	for step := e.From; step <= e.To; step++ {
		lines = append(lines, LeftOut{Step: step, Skipped: why})
	}
	return lines
}

// leaveOut does what the guard says about a step that was not taken. The run goes on behind it whatever it goes back to, so
// that it ends. find names what was not finite first; nil = it cannot be found.
func (r *Run) leaveOut(step int, v verdict, find func() (where, err error)) error {
	seen := known(r.state.Guard)
	often := v.policy != Stop && seen.Interventions >= r.Guard.Most
	err := errors.New(v.why)
	if !v.finite {
		err = fmt.Errorf("%s: %w", v.why, optim.ErrNonFinite)
	}
	if find != nil && !v.finite && (v.policy == Stop || often || r.Guard.Name) {
		where, failed := find()
		if failed != nil {
			return fmt.Errorf("step %d: %w; look for what was not finite first: %w", step, err, failed)
		}
		v.why = fmt.Sprintf("%s; first %v", v.why, where)
		err = fmt.Errorf("%w; first %w", err, where)
	}
	var rows string
	if find != nil { // it is the step's rows that went wrong
		rows = r.rows(step)
	}
	switch {
	case often:
		return fmt.Errorf("step %d: %w; the run left steps out %d times before (%s), and guard.most is %d: %s", step, err, seen.Interventions, spans(seen.Skipped), r.Guard.Most, r.cure(err, rows))
	case v.policy == Stop:
		return fmt.Errorf("step %d: %w; %s; guard.%s: skip leaves such steps out", step, err, r.cure(err, rows), map[bool]string{true: "spike", false: "nonfinite"}[v.finite])
	}
	e := GuardEvent{From: step, To: step, Back: -1, Why: v.why, Rows: rows}
	if v.policy == Rollback {
		if err := r.goBack(&e); err != nil {
			return fmt.Errorf("step %d: %s; go back to a checkpoint: %w", step, v.why, err)
		}
	}
	now := known(r.state.Guard) // with the window of what it went back to
	now.Skipped = append(slices.Clone(seen.Skipped), checkpoint.Span{From: e.From, To: e.To, RolledBack: e.Back >= 0, Why: e.Why})
	now.Interventions = seen.Interventions + 1
	r.state.Guard, r.state.Step, r.saved = &now, step, false
	if r.Events.OnGuard != nil {
		return r.Events.OnGuard(e)
	}
	return nil
}

// cure is what helps against numbers that went wrong as err says, in a step of these rows; "" = it is no step's.
func (r *Run) cure(err error, rows string) string {
	var bad *exec.NonFiniteError
	switch {
	case errors.As(err, &bad) && r.Session.Value(bad.Bound).Buf != nil:
		return "take the model's files anew, or lower train.learning_rate and go on from an earlier checkpoint"
	case !errors.Is(err, optim.ErrNonFinite):
		return fmt.Sprintf("look at the rows of the step (%s), lower train.learning_rate or train.max_grad_norm", rows)
	case rows != "":
		return fmt.Sprintf("lower train.learning_rate, or set compute.dtype: float32; the step's rows are %s", rows)
	}
	return "lower train.learning_rate, or set compute.dtype: float32"
}

// toldRows is how many stretches of lines an error tells of: any of a step's rows may be the one that is looked for.
const toldRows = 64

// rows is where the rows of a step are: each file with its lines.
func (r *Run) rows(step int) string {
	examples, _, err := r.Data.Step(step - 1)
	if err != nil || len(examples) == 0 {
		return "not readable any more"
	}
	var at []data.Position
	for _, e := range examples {
		at = append(at, e.Position)
	}
	slices.SortFunc(at, func(a, b data.Position) int { return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line) })
	at = slices.Compact(at) // parts of one row, or the row again
	var said strings.Builder
	for i, stretches := 0, 0; i < len(at); stretches++ {
		if stretches == toldRows {
			fmt.Fprintf(&said, " and %d more", len(at)-i)
			break
		}
		first, n := at[i], 1
		for i+n < len(at) && at[i+n].File == first.File && at[i+n].Line == first.Line+n {
			n++
		}
		switch {
		case i == 0:
			fmt.Fprintf(&said, "%s:%d", first.File, first.Line)
		case at[i-1].File != first.File:
			fmt.Fprintf(&said, "; %s:%d", first.File, first.Line)
		default:
			fmt.Fprintf(&said, ", %d", first.Line)
		}
		if n > 1 {
			fmt.Fprintf(&said, "-%d", first.Line+n-1)
		}
		i += n
	}
	return said.String()
}

// toldSpans is how many spans an error tells of: as many as guard.most allows unless it is raised.
const toldSpans = 10

// spans tells what was left out and why, the newest where there is much.
func spans(skipped []checkpoint.Span) string {
	var list []string
	if more := len(skipped) - toldSpans; more > 0 {
		list = append(list, fmt.Sprintf("%d before", more))
		skipped = skipped[more:]
	}
	for _, s := range skipped {
		what := fmt.Sprintf("step %d", s.From)
		if s.To > s.From {
			what = fmt.Sprintf("steps %d to %d", s.From, s.To)
		}
		list = append(list, what+": "+s.Why)
	}
	return strings.Join(list, "; ")
}

// find computes the step once more and names what was not finite first; where everything is, the gradient whose sum of
// squares was too large for a float32.
func (r *Run) find(ctx context.Context, batches []data.Batch, norm optim.Norm) (where, err error) {
	if err := r.Optimizer.ZeroGrad(); err != nil {
		return nil, err
	}
	err = r.Session.FindNonFinite(ctx, batches)
	var bad *exec.NonFiniteError
	switch {
	case errors.As(err, &bad):
		return bad, nil
	case err != nil:
		return nil, err
	case norm.Squares == nil:
		return errNotAgain, nil
	}
	name, squares := r.Optimizer.Largest(norm)
	return fmt.Errorf("the gradient of %s: each of its elements is finite, and the sum of their squares is %g", name, squares), nil
}

// notANumber is the error of a loss of the held-out rows, with what was not finite first.
func (r *Run) notANumber(ctx context.Context, loss float64) error {
	err := r.Session.FindNonFiniteLoss(ctx, r.Eval)
	var bad *exec.NonFiniteError
	if err == nil {
		err = errNotAgain
	} else if !errors.As(err, &bad) {
		return err
	}
	err = fmt.Errorf("the loss is %g: %w; first %w", loss, optim.ErrNonFinite, err)
	return fmt.Errorf("%w; %s", err, r.cure(err, ""))
}

// errNotAgain is what was not finite first, where nothing is.
var errNotAgain = errors.New("nothing: it is finite when it is computed again, and the device's memory or its kernels are at fault")

// leftOut counts the steps that are in any of the spans, which end in order, and how often the run went back.
func leftOut(g *checkpoint.GuardState) (steps, back int) {
	begin := math.MaxInt // of the steps counted so far
	for _, s := range slices.Backward(known(g).Skipped) {
		steps += max(0, min(s.To, begin-1)-s.From+1)
		begin = min(begin, s.From)
		if s.RolledBack {
			back++
		}
	}
	return steps, back
}
