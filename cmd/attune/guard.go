package main

import (
	"fmt"

	"attune/engine/train"
	"attune/internal/config"
	"attune/internal/obs"

	"go.uber.org/zap"
)

// guardOf is the guard of a run file.
func guardOf(c config.Guard) train.Guard {
	return train.Guard{NonFinite: train.Policy(c.NonFinite), Spike: train.Policy(c.Spike), ZScore: c.ZScore, Window: c.Window, Most: c.Most, Name: c.Name}
}

// leftOut tells of steps that were left out; metrics.jsonl has a line of each, in the place of what it said of them.
func leftOut(e train.GuardEvent, bar *obs.Progress, metrics *obs.Metrics, record func(any) error, log *zap.Logger) error {
	for _, err := range e.Passed {
		log.Warn("checkpoint cannot be used, and is passed over", zap.Error(err))
	}
	if e.Left != nil {
		log.Warn("an old checkpoint stays", zap.Error(e.Left))
	}
	if e.Back >= 0 {
		if err := metrics.Cut(e.Back); err != nil {
			return err
		}
	}
	bar.Done() // the next step draws it again, below
	log.Warn(warning(e))
	for _, l := range e.Lines() {
		if err := record(l); err != nil {
			return err
		}
	}
	return nil
}

// warning is what went wrong, where, and what is done about it.
func warning(e train.GuardEvent) string {
	what := fmt.Sprintf("step %d: %s", e.To, e.Why)
	if e.Rows != "" {
		what += fmt.Sprintf(" (rows %s)", e.Rows)
	}
	if e.Back >= 0 {
		return fmt.Sprintf("%s; back to step %d, and on behind step %d", what, e.Back, e.To)
	}
	return what + "; the step is left out"
}
