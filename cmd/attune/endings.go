package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"attune/engine/train"
	"attune/internal/obs"

	"go.uber.org/zap"
)

// watched is a run whose directory is looked after while it goes on.
type watched struct {
	run *train.Run
	at  atomic.Int64 // the last step that was taken
}

// watch has a run end once its directory is no longer its own, before anything is written there.
func watch(run *train.Run, dir *runDir, rec *record, metrics *obs.Metrics) *watched {
	w := &watched{run: run}
	w.at.Store(int64(run.Done()))
	onStep := run.Events.OnStep
	run.Events.OnStep = func(st train.Step, total int) error {
		if err := dir.lock.stands(); err != nil {
			return err
		}
		w.at.Store(int64(st.Step))
		return onStep(st, total)
	}
	onGuard := run.Events.OnGuard
	run.Events.OnGuard = func(e train.GuardEvent) error {
		if err := dir.lock.stands(); err != nil {
			return err
		}
		w.at.Store(int64(e.To))
		return onGuard(e)
	}
	run.Events.BeforeSave = func(step int) error {
		if err := dir.lock.stands(); err != nil {
			return err
		}
		return errors.Join(metrics.Sync(), rec.keep(step))
	}
	return w
}

// train is train.Run.Train of which a signal's sender hears at once; a step may take so many seconds from then.
func (w *watched) train(ctx context.Context, s streams, grace float64, log *zap.Logger) (train.Result, error) {
	hard, stop := withGrace(ctx, time.Duration(min(grace, 1e9)*float64(time.Second)))
	defer stop()
	said := make(chan struct{})
	undo := context.AfterFunc(ctx, func() {
		defer close(said)
		if obs.Columns(s.err) > 0 {
			fmt.Fprintln(s.err) // the bar stays above
		}
		log.Warn(fmt.Sprintf("finishing step %d, then saving; a second signal ends at once", w.at.Load()+1))
	})
	defer func() {
		if !undo() {
			<-said
		}
	}()
	return w.run.Train(ctx, hard)
}

// stopped ends a run whose state is saved and whose end is still to come.
func stopped(s streams, asJSON bool, res train.Result, steps int, log *zap.Logger) error {
	if res.Interrupted {
		log.Warn("interrupted; the state is saved", zap.Int("step", res.Steps))
		return errInterrupted
	}
	log.Info("stopped; the state is saved", zap.Int("step", res.Steps))
	var err error
	if asJSON {
		err = writeJSON(s.out, summaryOf(res, ""))
	} else {
		_, err = fmt.Fprintf(s.out, "stopped after step %d of %d, as --until-step says; nothing is published yet, --resume goes on\n", res.Steps, steps)
	}
	unprinted(err, log)
	return nil
}

// unprinted says that nobody heard how a run ended. That does not make it another end.
func unprinted(err error, log *zap.Logger) {
	if err != nil {
		log.Warn("the summary could not be printed", zap.Error(err))
	}
}

// checkUntil refuses what is no step of --until-step.
func checkUntil(step int) error {
	if step < 0 {
		return usagef("--until-step %d; it must be at least 1", step)
	}
	return nil
}
