package main

import (
	"errors"

	"attune/engine/checkpoint"
	"attune/engine/train"

	"go.uber.org/zap"
)

// latest opens the newest whole checkpoint, nil where there is none, and says in what this run is another one by now. What is
// not allowed of that is refused.
func (j *job) latest(dir *runDir, store *checkpoint.Store, identity map[string]string, allowed []string, log *zap.Logger) (*checkpoint.Checkpoint, *changes, error) {
	c, skipped, err := store.Latest()
	if err != nil {
		return nil, nil, err
	}
	for _, bad := range skipped {
		log.Warn("passed over a checkpoint", zap.Error(bad))
	}
	if c == nil {
		log.Info("no checkpoint yet: starting from the beginning")
		return nil, nil, nil
	}
	x := j.changesSince(c, identity, dir, allowed)
	if err := train.Check(c, identity, x.is, x.permitted...); err != nil {
		return nil, nil, errors.Join(j.explain(err, x), c.Close())
	}
	x.say(c, identity, log)
	x.forget(c, identity, j.cfg.Eval.EarlyStoppingPatience, log)
	if what := otherwise(c.Made, j.made()); what != "" {
		log.Warn("equal from here to rounding, not to the bit: " + what)
	}
	log.Info("resuming", zap.String("checkpoint", c.Dir), zap.Int("step", c.Step))
	return c, x, nil
}

// changedSince are the parts of an identity that a checkpoint has otherwise.
func changedSince(c *checkpoint.Checkpoint, identity map[string]string) []string {
	var changed *train.ChangedError
	if errors.As(train.Check(c, identity, c.Total), &changed) {
		return changed.Parts
	}
	return nil
}

// warnOfOther says in what the weights that a run ended with were trained otherwise than it would go on: no step was taken
// since, or the best state is from before.
func warnOfOther(log *zap.Logger, trained, identity map[string]string) {
	for _, part := range train.TextParts() {
		if there, known := trained[part]; known && there != identity[part] {
			log.Warn("what is published was trained with another "+part+" and keeps it", zap.String("there", there), zap.String("here", identity[part]))
		}
	}
}
