package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"attune/engine/checkpoint"
	"attune/engine/train"
	"attune/internal/obs"
	"attune/internal/wholedir"

	"go.uber.org/zap"
)

// train takes the steps and publishes, in a run directory that is locked. begin is when the command was given.
func (j *job) train(ctx context.Context, s streams, o trainOptions, dir *runDir, plan planReport, log *zap.Logger, begin time.Time) (err error) {
	cfg := j.cfg
	identity, err := j.identity()
	if err != nil {
		return err
	}
	store := &checkpoint.Store{FS: dir.fs, Root: checkpointsDir, Keep: cfg.Checkpoint.Keep, KeepEvery: cfg.Checkpoint.KeepEvery}
	if err := errors.Join(store.Sweep(), wholedir.Sweep(dir.fs, ".", ""), wholedir.Sweep(dir.fs, templatesDir, "")); err != nil {
		return err
	}
	var from *checkpoint.Checkpoint // nil = the beginning
	var x *changes                  // since then
	if o.resume {
		if from, x, err = j.latest(dir, store, identity, o.changes, log); err != nil {
			return err
		}
		if from != nil {
			defer func() { err = errors.Join(err, from.Close()) }()
			if o.until > 0 && from.Step > o.until {
				return usagef("--until-step %d: the run has taken %d steps already", o.until, from.Step)
			}
		}
	}
	if err := j.session.Place(); err != nil {
		return err
	}
	if err := j.session.Reserve(j.compiled); err != nil {
		return err
	}
	if err := j.startAdapter(); err != nil {
		return err
	}
	opt, err := j.optimizer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opt.Close()) }()

	run := &train.Run{
		Options: train.Options{Schedule: j.schedule, MicroTokens: j.micro, PadID: j.text.pad, EvalEvery: cfg.Eval.Every, Patience: cfg.Eval.EarlyStoppingPatience,
			Threshold: cfg.Eval.EarlyStoppingThreshold, LoadBest: cfg.Eval.LoadBestModelAtEnd, SaveEvery: cfg.Checkpoint.Every, Store: store, Until: o.until,
			Guard: guardOf(cfg.Guard), Snapshot: plan.Memory.Snapshot > 0, Identity: identity, Seed: cfg.Train.Seed, Recipe: j.recipeText(), Made: j.made()},
		Session: j.session, Optimizer: opt, Data: j.data,
	}
	if j.eval != nil {
		run.Eval = j.eval.Batches()
	}
	if from != nil {
		if err := errors.Join(run.Resume(from, x.permitted...), from.Close()); err != nil {
			return err
		}
	}
	rec, err := j.record(dir, j.provenance(plan, identity), from, x)
	if err != nil {
		return err
	}
	if err := rec.keep(run.Done()); err != nil {
		return err
	}
	metrics, err := obs.OpenMetrics(dir.fs, metricsName, run.Done(), run.EvalDue())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.Close()) }()
	if n := metrics.Lacks(); n > 0 {
		log.Warn(fmt.Sprintf("metrics.jsonl has no lines of %d of the %d steps that are done: it was changed or damaged since; the run does not need them", n, run.Done()))
	}

	log.Info("training", zap.Int("from_step", run.Done()+1), zap.Duration("after", time.Since(begin).Round(time.Millisecond)))
	bar := obs.NewProgress(s.err, "step", run.Done(), plan.Steps)
	run.Events = events(bar, metrics, log)
	e := watch(run, dir, rec, metrics)
	res, err := e.train(ctx, s, cfg.Checkpoint.Grace, log)
	bar.Done()
	if err != nil {
		return err
	}
	if res.Interrupted || res.Until {
		if res.NotSaved != nil {
			return alsoUnsaved(nil, res)
		}
		return stopped(s, o.asJSON, res, plan.Steps, log)
	}
	if res.NoneBetter {
		log.Warn(noneBetter)
	}
	if res.BestDamaged != nil {
		log.Warn(bestDamaged, zap.Error(res.BestDamaged))
	}
	warnOfOther(log, res.Trained.Identity, identity)
	if err := dir.lock.stands(); err != nil {
		return err
	}
	where, err := j.publish(dir, res) // even if its state was not saved
	if err != nil {
		return alsoUnsaved(err, res)
	}
	if err := obs.PlotLoss(dir.fs, metricsName, lossPNG); err != nil {
		log.Warn("the loss curve was not drawn", zap.Error(err))
	}
	log.Info("done", zap.Int("steps", res.Steps), zap.String("written", where))
	unprinted(summarize(s, o.asJSON, summaryOf(res, where)), log)
	return alsoUnsaved(nil, res)
}
