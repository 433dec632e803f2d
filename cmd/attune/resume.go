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
	"attune/internal/disk"
	"attune/internal/wholedir"

	"go.uber.org/zap"
)

// latest opens the newest whole checkpoint, nil where there is none. One of another run is refused.
func (j *job) latest(dir *runDir, identity map[string]string, log *zap.Logger) (*checkpoint.Checkpoint, error) {
	store := &checkpoint.Store{FS: disk.OS(), Root: dir.file(checkpointsDir)}
	if err := errors.Join(store.Sweep(), wholedir.Sweep(disk.OS(), dir.path, ""), wholedir.Sweep(disk.OS(), dir.file(templatesDir), "")); err != nil {
		return nil, err
	}
	c, skipped, err := store.Latest()
	if err != nil {
		return nil, err
	}
	for _, bad := range skipped {
		log.Warn("passed over a checkpoint", zap.Error(bad))
	}
	if c == nil {
		log.Info("no checkpoint yet: starting from the beginning")
		return nil, nil
	}
	steps := j.data.Steps()
	if err := train.Check(c, identity, steps, j.mayDiffer(c, identity)...); err != nil {
		return nil, errors.Join(j.explain(err, dir), c.Close())
	}
	for _, part := range changedSince(c, identity) {
		log.Warn("going on with another "+part+", as allowed", zap.String("there", c.Identity[part]), zap.String("here", identity[part]))
	}
	log.Info("resuming", zap.String("checkpoint", c.Dir), zap.Int("step", c.Step))
	return c, nil
}

// textParts are the parts of an identity that say how rows become tokens.
func textParts() []string { return []string{"template", "tokenizer", specials} }

// mayDiffer are the parts of a checkpoint's identity that need not be those of this run: where another template or tokenizer
// is allowed and there is one, these, and with them the rows, which are hashed as tokens.
func (j *job) mayDiffer(c *checkpoint.Checkpoint, identity map[string]string) []string {
	text := func(part string) bool { return slices.Contains(textParts(), part) }
	if j.otherText && slices.ContainsFunc(changedSince(c, identity), text) {
		return append(textParts(), "data", "eval")
	}
	return nil
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
	for _, part := range textParts() {
		if there, known := trained[part]; known && there != identity[part] {
			log.Warn("what is published was trained with another "+part+" and keeps it", zap.String("there", there), zap.String("here", identity[part]))
		}
	}
}

// explain adds to the refusal of another run what its parts are, and which keys of the recipe differ.
func (j *job) explain(err error, dir *runDir) error {
	var changed *train.ChangedError
	if !errors.As(err, &changed) {
		return err
	}
	for _, part := range changed.Parts {
		switch part {
		case "model":
			err = fmt.Errorf("%w; model: %s", err, hashes(changed.There[part], changed.Here[part]))
		case "template", "tokenizer", specials:
			err = fmt.Errorf("%w; %s: %s; %s goes on with it", err, part, hashes(changed.There[part], changed.Here[part]), j.override())
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
			err = fmt.Errorf("%w; recipe: %s", err, cmp.Or(strings.Join(differences(recipeOf(then), recipeOf(j.cfg)), ", "), "as another version of attune understands it"))
		}
	}
	return asUsage(err)
}

// differences names the keys in which two run files differ, with both values.
func differences(then, now config.Config) []string {
	var list []string
	var walk func(prefix string, a, b map[string]any)
	walk = func(prefix string, a, b map[string]any) {
		all := maps.Clone(a)
		maps.Copy(all, b) // template_kwargs has any keys
		for _, k := range slices.Sorted(maps.Keys(all)) {
			x, section := a[k].(map[string]any)
			if y, ok := b[k].(map[string]any); section && ok {
				walk(prefix+k+".", x, y)
			} else if !reflect.DeepEqual(a[k], b[k]) {
				list = append(list, fmt.Sprintf("%s%s was %s, is %s", prefix, k, told(a, k), told(b, k)))
			}
		}
	}
	walk("", then.Map(), now.Map())
	return list
}

// told is the value of a key, or that there is none.
func told(m map[string]any, key string) string {
	v, ok := m[key]
	if !ok {
		return "not set"
	}
	switch v.(type) {
	case string, []string:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}
