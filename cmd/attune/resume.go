package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"attune/engine/checkpoint"
	"attune/engine/train"
	"attune/internal/config"
	"attune/internal/wholedir"

	"go.uber.org/zap"
)

// resume puts the run where its newest whole checkpoint stands and gives that step, -1 where there is none.
func resume(run *train.Run, cfg config.Config, dir *runDir, log *zap.Logger) (int, error) {
	root := dir.file(checkpointsDir)
	if err := errors.Join(checkpoint.Sweep(root), wholedir.Sweep(dir.path, adapterDir), wholedir.Sweep(dir.path, modelDir)); err != nil {
		return -1, err
	}
	c, skipped, err := checkpoint.Latest(root)
	if err != nil {
		return -1, err
	}
	for _, bad := range skipped {
		log.Warn("passed over a checkpoint", zap.Error(bad))
	}
	if c == nil {
		log.Info("no checkpoint yet: starting from the beginning")
		return -1, nil
	}
	log.Info("resuming", zap.String("checkpoint", c.Dir), zap.Int("step", c.Step))
	return c.Step, errors.Join(explain(run.Resume(c), cfg, dir), c.Close())
}

// explain adds to the refusal of another run what its parts are, and which keys of the recipe differ.
func explain(err error, now config.Config, dir *runDir) error {
	var changed *train.ChangedError
	if !errors.As(err, &changed) {
		return err
	}
	for _, part := range changed.Parts {
		switch part {
		case "data":
			err = fmt.Errorf("%w; data: the rows of data.train, their shares and order", err)
		case "eval":
			err = fmt.Errorf("%w; eval: the held-out rows of data.eval, which decide what is best and when to stop", err)
		case "recipe":
			then, readErr := config.Resolved(dir.file(runYAML))
			if readErr != nil {
				err = fmt.Errorf("%w; what the recipe was cannot be told: %w", err, readErr)
				break
			}
			err = fmt.Errorf("%w; recipe: %s", err, cmp.Or(strings.Join(differences(recipeOf(then), recipeOf(now)), ", "), "as another version of attune understands it"))
		}
	}
	return asUsage(err)
}

// differences names the keys in which two run files differ, with both values.
func differences(then, now config.Config) []string {
	var list []string
	var walk func(prefix string, a, b map[string]any)
	walk = func(prefix string, a, b map[string]any) {
		for _, k := range slices.Sorted(maps.Keys(a)) {
			x, section := a[k].(map[string]any)
			if y, ok := b[k].(map[string]any); section && ok {
				walk(prefix+k+".", x, y)
			} else if !reflect.DeepEqual(a[k], b[k]) {
				list = append(list, fmt.Sprintf("%s%s was %v, is %v", prefix, k, a[k], b[k]))
			}
		}
	}
	walk("", then.Map(), now.Map())
	return list
}
