// Package train is the loop: for each optimizer step it takes the step's packed rows, adds up their gradients, clips,
// updates, and now and then evaluates and saves. The step is what the run file says: its loss is the sum over its trained
// tokens divided by their number, however many rows, threads or devices compute it.
package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"attune/data"
	"attune/data/loader"
	"attune/engine/checkpoint"
	"attune/engine/eval"
	"attune/engine/optim"
	"attune/engine/session"
)

// Options say how long and how often.
type Options struct {
	Schedule    optim.Schedule
	MicroTokens int   // tokens of a packed row
	PadID       int32 // the id on padding
	EvalEvery   int   // steps between evaluations; 0 = only before the first step and after the last
	Patience    int   // evaluations without a better loss before the run stops; 0 = never
	Threshold   float64
	LoadBest    bool              // end with the best evaluated weights instead of the last
	Until       int               // the run stops after this step as if it were interrupted; 0 = it goes to the end
	SaveEvery   int               // steps between checkpoints; 0 = only at the end
	Store       *checkpoint.Store // nil = no checkpoints
	Snapshot    bool              // checkpoints before the end are written from a copy of the state, while training goes on
	Guard       Guard
	// Of the run, as checkpoints name it:
	Identity map[string]string // what must not change
	Seed     int
	Recipe   string // the run file as it was understood
	Made     checkpoint.Made
}

// Run is one training run: what it trains, on which rows, and where it stands.
type Run struct {
	Options
	Session   *session.Session
	Optimizer *optim.AdamW
	Data      *loader.Loader
	Eval      iter.Seq2[data.Batch, error] // weights 1; nil = no evaluation
	Events    Events
	state     checkpoint.State
	evaluated int  // the step of the last evaluation, -1 = none
	saved     bool // the state has not moved since it was saved, or given to who writes it
	saves     saves
	back      place // where the guard goes back to
}

// Step is one optimizer step, a line of metrics.jsonl.
type Step struct {
	Step            int     `json:"step"` // from 1
	Epoch           int     `json:"epoch"`
	Loss            float64 `json:"loss"`
	GradNorm        float64 `json:"grad_norm"` // before clipping
	LearningRate    float64 `json:"learning_rate"`
	Tokens          int     `json:"tokens"`         // of all roles
	TrainedTokens   int     `json:"trained_tokens"` // the loss is divided by these
	PaddedTokens    int     `json:"padded_tokens"`  // computed, padding included
	MicroBatches    int     `json:"micro_batches"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	Seconds         float64 `json:"seconds"`
}

// Evaluation is the mean loss of the held-out rows' trained tokens, a line of metrics.jsonl.
type Evaluation struct {
	Step     int     `json:"step"` // steps done
	EvalLoss float64 `json:"eval_loss"`
	Tokens   int     `json:"eval_tokens"`
	Best     bool    `json:"best"`
	Seconds  float64 `json:"seconds"`
}

// Events tell the outside what happens; nil ones are not called. An error ends the run.
type Events struct {
	OnStep func(Step, int) error // and the number of all steps
	OnEval func(Evaluation) error
	// OnGuard tells of steps that were left out, in place of OnStep.
	OnGuard func(GuardEvent) error
	// OnSave tells of a checkpoint that was written, or could not be: that does not end the run.
	OnSave func(Saved) error
	// BeforeSave puts on disk what the checkpoint of a step counts on; without it, none is written. It is called by who writes,
	// beside the steps.
	BeforeSave func(step int) error
}

// Result is how a run ended.
type Result struct {
	Steps         int
	Tokens        int64
	TrainedTokens int64
	Seconds       float64
	FirstEval     *float64
	LastEval      *float64
	BestStep      int
	LeftOut       int // steps that the guard left out
	WentBack      int // times that it went back to a checkpoint for that
	EarlyStopped  bool
	Interrupted   bool
	Until         bool // stopped after Options.Until, before the end
	LoadedBest    bool
	NoneBetter    bool          // the best state was asked for, and no evaluation was better than the one before the first step
	BestDamaged   error         // the best state was asked for and cannot be read: the run ends with the last one
	NotSaved      error         // why the state at the end could not be written
	Stands        int           // where NotSaved: the step of the newest checkpoint of this run that is written; -1 = there is none
	Held          time.Duration // training stood still for checkpoints, of this part of the run
	Trained       State         // what the session's weights are at the end
}

// State is how far a set of weights was trained: those of the last step, or the best evaluated ones.
type State struct {
	Steps         int
	TrainedTokens int64
	Eval          *float64          // its mean loss on the held-out rows; nil = not evaluated
	Identity      map[string]string // Options.Identity of the part of the run that took the last of these steps
}

// Done is the number of steps that are behind the run.
func (r *Run) Done() int { return r.state.Step }

// EvalDue says whether the run begins with an evaluation: that before the first step, or one that was interrupted. A line of it
// that is there already is of a part of the run that was killed behind it.
func (r *Run) EvalDue() bool { return r.state.EvalDue || r.state.Step == 0 && r.state.FirstLoss == nil }

// Train goes on to the last step. When ctx is done it finishes the step, saves, and returns with Interrupted set; an
// evaluation under way is left, and done again by the run that resumes. When hard is done too, a step is left between two
// kernels, and the state before it is saved.
//
// A checkpoint that cannot be written does not end the run. The state at the end is tried once more; if that is not written
// either, Result.NotSaved says why.
func (r *Run) Train(ctx, hard context.Context) (res Result, err error) {
	r.beginSaves()
	defer func() { err = errors.Join(err, r.endSaves()) }()
	r.state.Total = r.Data.Steps()
	if r.state.Step == 0 {
		r.state.Identity = r.Identity
	}
	r.evaluated = -1
	if err = r.beginGuard(); err == nil {
		err = r.before(ctx)
	}
	if err == nil {
		err = r.saveBeginning()
	}
	if err == nil && r.state.Stopped == "" {
		err = r.steps(ctx, hard)
	}
	cut := isDone(ctx, err) || isDone(hard, err)
	if err != nil && !cut {
		return res, err
	}
	res.EarlyStopped = r.state.Stopped != ""
	left := r.state.Step < r.state.Total && !res.EarlyStopped
	res.Until = !cut && left && r.untilReached()
	res.Interrupted = cut || left && !res.Until
	if err := r.saveLast(&res); err != nil {
		return res, err
	}
	err = r.finish(&res)
	return res, err
}

// isDone: err is that of a context that is done.
func isDone(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err())
}

// untilReached: the step after which Options.Until stops is behind the run.
func (r *Run) untilReached() bool { return r.Until > 0 && r.state.Step >= r.Until }

// before makes good what lies before the next step: the first evaluation, or one that was interrupted.
func (r *Run) before(ctx context.Context) error {
	switch {
	case !r.EvalDue():
		return nil
	case r.state.EvalDue:
		return r.after(ctx)
	}
	if err := r.evaluate(ctx); err != nil {
		return err
	}
	r.state.FirstLoss = r.state.EvalLoss
	return nil
}

// steps takes the steps that are left, until the last, an early stop, Options.Until or the end of ctx.
func (r *Run) steps(ctx, hard context.Context) error {
	if r.untilReached() {
		return nil
	}
	for p := range r.Data.Prefetch(ctx, r.state.Step, loader.PrefetchOptions{MicroTokens: r.MicroTokens, PadID: r.PadID}) {
		if err := r.step(hard, p); err != nil {
			return err
		}
		if err := r.after(ctx); err != nil {
			return err
		}
		if err := r.newlySaved(); err != nil {
			return err
		}
		if ctx.Err() != nil || r.state.Stopped != "" || r.untilReached() {
			return nil
		}
	}
	return nil
}

// step is one optimizer step.
func (r *Run) step(ctx context.Context, p loader.Packed) error {
	if p.Err != nil {
		return fmt.Errorf("step %d: %w", p.Step+1, p.Err)
	}
	begin := time.Now()
	s := Step{Step: p.Step + 1, Epoch: p.Epoch, Tokens: p.Tokens, TrainedTokens: p.Trained, MicroBatches: len(p.Batches),
		LearningRate: r.Schedule.LR(p.Step)}
	if err := r.Optimizer.ZeroGrad(); err != nil {
		return err
	}
	for _, b := range p.Batches {
		if err := r.Session.Queue(ctx, b); err != nil {
			return fmt.Errorf("step %d: %w", s.Step, err)
		}
		s.PaddedTokens += r.Session.Computed(b.Tokens)
	}
	norm, err := r.Optimizer.Norm() // the step is waited for
	if err != nil {
		return fmt.Errorf("step %d: %w", s.Step, err)
	}
	losses, err := r.Session.Losses()
	if err != nil {
		return fmt.Errorf("step %d: %w", s.Step, err)
	}
	for _, loss := range losses {
		s.Loss += loss
	}
	if !isFinite(s.Loss) {
		norm = optim.Norm{Global: math.NaN()} // it says no more than the loss does
	}
	seen := r.state.Guard
	if p.Trained == 0 {
		seen = nil // its loss is that of no token
	}
	if v := r.Guard.judge(seen, s.Loss, norm.Global); v.policy != Off {
		r.state.Seconds += time.Since(begin).Seconds()
		return r.leaveOut(s.Step, v, func() (error, error) { return r.find(ctx, p.Batches, norm) })
	}
	if err := r.Optimizer.Update(s.LearningRate, norm); err != nil {
		return fmt.Errorf("step %d: %w", s.Step, err)
	}
	s.GradNorm = norm.Global
	s.Seconds = time.Since(begin).Seconds()
	s.TokensPerSecond = float64(s.Tokens) / s.Seconds
	r.state.Step++
	r.state.Updates = r.Optimizer.Updates()
	if p.Trained > 0 {
		r.state.Guard = r.Guard.took(r.state.Guard, s.Loss, s.GradNorm)
	}
	r.state.Identity = r.Identity // only now: what no step has seen is not what a state was trained with
	r.saved = false
	r.state.Tokens += int64(s.Tokens)
	r.state.TrainedTokens += int64(s.TrainedTokens)
	r.state.Seconds += s.Seconds
	if r.Events.OnStep != nil {
		return r.Events.OnStep(s, r.state.Total)
	}
	return nil
}

// after evaluates and saves when it is time to; the state at the end is not its.
func (r *Run) after(ctx context.Context) error {
	done := r.state.Step
	last := done == r.state.Total
	due := r.SaveEvery > 0 && done%r.SaveEvery == 0
	if last || r.EvalEvery > 0 && done%r.EvalEvery == 0 {
		before := r.state.BestStep
		r.state.EvalDue = true
		if err := r.evaluateOrGoBack(ctx); err != nil {
			return err
		}
		r.state.EvalDue = false
		if r.Patience > 0 && r.state.BadEvals >= r.Patience && !last {
			r.state.Stopped = fmt.Sprintf("no better loss in %d evaluations", r.state.BadEvals)
		}
		due = due || r.LoadBest && r.state.BestStep != before
	}
	if due && !last && r.state.Stopped == "" {
		return r.saveDue()
	}
	return nil
}

// evaluate changes nothing where ctx ends it.
func (r *Run) evaluate(ctx context.Context) error {
	if r.Eval == nil || r.evaluated == r.state.Step {
		return nil
	}
	begin := time.Now()
	loss, tokens, err := eval.MeanLoss(ctx, r.Session, r.Eval)
	if err == nil && !isFinite(loss) {
		err = r.notANumber(ctx, loss)
	}
	if err != nil {
		return fmt.Errorf("evaluate after step %d: %w", r.state.Step, err)
	}
	r.evaluated, r.saved = r.state.Step, false
	e := Evaluation{Step: r.state.Step, EvalLoss: loss, Tokens: tokens, Seconds: time.Since(begin).Seconds()}
	r.state.EvalLoss = &e.EvalLoss
	if r.state.BestLoss == nil || loss < *r.state.BestLoss-r.Threshold {
		e.Best = true
		r.state.BestLoss, r.state.BestStep, r.state.BadEvals = &e.EvalLoss, r.state.Step, 0
	} else {
		r.state.BadEvals++
	}
	if r.Events.OnEval != nil {
		return r.Events.OnEval(e)
	}
	return nil
}
