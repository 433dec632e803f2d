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
	Schedule      optim.Schedule
	MicroTokens   int   // tokens of a packed row
	PadID         int32 // the id on padding
	EvalEvery     int   // steps between evaluations; 0 = only before the first step and after the last
	Patience      int   // evaluations without a better loss before the run stops; 0 = never
	Threshold     float64
	LoadBest      bool   // end with the best evaluated weights instead of the last
	SaveEvery     int    // steps between checkpoints; 0 = only at the end
	Keep          int    // newest checkpoints kept
	CheckpointDir string // "" = no checkpoints
	Identity      map[string]string
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
	saved     bool // the state has not moved since it was saved
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
	OnStep       func(Step, int) error // and the number of all steps
	OnEval       func(Evaluation) error
	OnCheckpoint func(dir string, step int) error
	BeforeSave   func() error // what a checkpoint counts on must be on disk
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
	EarlyStopped  bool
	Interrupted   bool
	LoadedBest    bool
	NoneBetter    bool  // the best state was asked for, and no evaluation was better than the one before the first step
	BestDamaged   error // the best state was asked for and cannot be read: the run ends with the last one
	Trained       State // what the session's weights are at the end
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

// Train goes on to the last step. When ctx is done it finishes the step, saves, and returns with Interrupted set; an
// evaluation under way is left, and done again by the run that resumes.
func (r *Run) Train(ctx context.Context) (Result, error) {
	r.state.Total = r.Data.Steps()
	if r.state.Step == 0 {
		r.state.Identity = r.Identity
	}
	r.evaluated = -1
	var res Result
	err := r.before(ctx)
	if err == nil && r.state.Stopped == "" {
		err = r.steps(ctx)
	}
	cut := err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err())
	if err != nil && !cut {
		return res, err
	}
	res.EarlyStopped = r.state.Stopped != ""
	res.Interrupted = cut || ctx.Err() != nil && r.state.Step < r.state.Total && !res.EarlyStopped
	if res.Interrupted && !r.saved {
		if err := r.save(); err != nil {
			return res, err
		}
	}
	if err := r.finish(&res); err != nil {
		return res, err
	}
	return res, nil
}

// before makes good what lies before the next step: the first evaluation, or one that was interrupted.
func (r *Run) before(ctx context.Context) error {
	if r.state.EvalDue {
		return r.after(ctx)
	}
	if r.state.Step > 0 || r.state.FirstLoss != nil { // a run stopped before its first step has this behind it
		return nil
	}
	if err := r.evaluate(ctx); err != nil {
		return err
	}
	r.state.FirstLoss = r.state.EvalLoss
	return nil
}

// steps takes the steps that are left, until the last, an early stop or the end of ctx.
func (r *Run) steps(ctx context.Context) error {
	for p := range r.Data.Prefetch(ctx, r.state.Step, loader.PrefetchOptions{MicroTokens: r.MicroTokens, PadID: r.PadID}) {
		if err := r.step(p); err != nil {
			return err
		}
		if err := r.after(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil || r.state.Stopped != "" {
			return nil
		}
	}
	return nil
}

// step is one optimizer step.
func (r *Run) step(p loader.Packed) error {
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
		loss, err := r.Session.Accumulate(context.Background(), b)
		if err != nil {
			return fmt.Errorf("step %d: %w", s.Step, err)
		}
		s.Loss += loss
		s.PaddedTokens += b.Tokens
	}
	if err := finite(s.Loss); err != nil {
		return fmt.Errorf("step %d: %w", s.Step, err)
	}
	norm, err := r.Optimizer.Norm()
	if err == nil {
		err = r.Optimizer.Update(s.LearningRate, norm)
	}
	if err != nil {
		return err
	}
	s.GradNorm = norm.Global
	s.Seconds = time.Since(begin).Seconds()
	s.TokensPerSecond = float64(s.Tokens) / s.Seconds
	r.state.Step++
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

// finite refuses a loss that is no number, with what helps against it.
func finite(loss float64) error {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("the loss is %g: %w; lower train.learning_rate, or set compute.dtype: float32", loss, optim.ErrNonFinite)
	}
	return nil
}

// after evaluates and saves when it is time to.
func (r *Run) after(ctx context.Context) error {
	done := r.state.Step
	last := done == r.state.Total
	if last || r.EvalEvery > 0 && done%r.EvalEvery == 0 {
		before := r.state.BestStep
		r.state.EvalDue = true
		if err := r.evaluate(ctx); err != nil {
			return err
		}
		r.state.EvalDue = false
		if r.Patience > 0 && r.state.BadEvals >= r.Patience && !last {
			r.state.Stopped = fmt.Sprintf("no better loss in %d evaluations", r.state.BadEvals)
		}
		if r.LoadBest && r.state.BestStep != before {
			return r.save()
		}
	}
	if last || r.state.Stopped != "" || r.SaveEvery > 0 && done%r.SaveEvery == 0 {
		return r.save()
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
	if err == nil {
		err = finite(loss)
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
