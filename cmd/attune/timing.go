package main

import (
	"context"
	"errors"
	"time"

	"attune/data/loader"
)

// timeReport is how long a run will take by what a short piece of its first step took.
type timeReport struct {
	Seconds         float64 `json:"seconds"` // training and evaluations
	TokensPerSecond float64 `json:"tokens_per_second"`
	MeasuredTokens  int     `json:"measured_tokens"`
}

// probeTokens is how many tokens are timed, unless one example is longer; of a device that only full rows keep busy, those.
const probeTokens = 256

// estimate loads the weights and times one packed row of the first step: forward and backward, the optimizer's update, and
// forward alone where there are held-out rows. Nothing of it is kept.
func (j *job) estimate(ctx context.Context) (*timeReport, error) {
	if err := j.session.Place(); err != nil {
		return nil, err
	}
	if err := j.startAdapter(); err != nil {
		return nil, err
	}
	opt, err := j.optimizer()
	if err != nil {
		return nil, err
	}
	defer opt.Close()
	probe := probeTokens
	if j.device.Discrete {
		probe = j.micro
		if err := j.session.Reserve(j.compiled); err != nil {
			return nil, err
		}
	}
	first := j.data.Pack(0, loader.PrefetchOptions{MicroTokens: probe, PadID: j.text.pad})
	if first.Err != nil {
		return nil, first.Err
	}
	row := first.Batches[0]
	train, err := j.timed(ctx, func() error { _, err := j.session.Accumulate(ctx, row); return err })
	if err != nil {
		return nil, err
	}
	update, err := j.timed(ctx, func() error {
		norm, err := opt.Norm()
		if err != nil {
			return err
		}
		return errors.Join(opt.Update(0, norm), j.device.Sync())
	})
	if err != nil {
		return nil, err
	}
	a := j.survey
	perToken := 1 / float64(j.session.Computed(row.Tokens))
	seconds := train*perToken*float64(a.Padded) + update*float64(j.data.Steps())
	r := &timeReport{TokensPerSecond: float64(a.Tokens) / seconds, MeasuredTokens: row.Tokens}
	if j.eval != nil {
		judge, err := j.timed(ctx, func() error { _, err := j.session.Loss(ctx, row); return err })
		if err != nil {
			return nil, err
		}
		seconds += judge * perToken * float64(j.eval.Padded) * float64(j.evaluations())
	}
	r.Seconds = seconds
	return r, nil
}

// timed is the seconds that f takes once it was called before: the first call compiles and touches memory, and on a GPU the
// second one records what is run again.
func (j *job) timed(ctx context.Context, f func() error) (float64, error) {
	before := 1
	if j.device.Discrete {
		before = 2
	}
	for range before {
		if err := errors.Join(f(), ctx.Err()); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	err := f()
	return time.Since(begin).Seconds(), err
}

// evaluations is how often held-out rows are judged: before the first step, every so many, and after the last.
func (j *job) evaluations() int {
	steps, every := j.data.Steps(), j.cfg.Eval.Every
	if every == 0 {
		return 2
	}
	return 1 + (steps+every-1)/every
}
