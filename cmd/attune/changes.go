package main

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"attune/engine/checkpoint"
	"attune/engine/train"
	"attune/internal/config"

	"go.uber.org/zap"
)

// changeable are the parts of a run that --allow-change takes: what may become another in mid-run.
func changeable() []string { return []string{"data", "eval", "recipe", "text"} }

// allowChangeUsage is said of --allow-change.
const allowChangeUsage = "go on although these have changed: data, eval, recipe, text (comma separated); from the next step on the run is one with what they are now"

// checkChanges refuses what --allow-change does not take, and all of it where no run is gone on with.
func checkChanges(parts []string, resume bool) error {
	if len(parts) > 0 && !resume {
		return usagef("--allow-change %s is about a run that is gone on with; give --resume too", strings.Join(parts, ","))
	}
	for _, part := range parts {
		if !slices.Contains(changeable(), part) {
			return usagef("--allow-change %s: it takes %s; the model and the shapes of what is trained never change", part, strings.Join(changeable(), ", "))
		}
	}
	return nil
}

// changes are what is another in a run than it was when a checkpoint was written.
type changes struct {
	parts     []string // of its identity; a recipe that is only written otherwise is none
	keys      []string // of the recipe, with both values
	shapes    []string // those of keys that decide what is trained
	unknown   error    // why the recipe of then cannot be told
	was, is   int      // steps of the whole run
	taken     int      // of them
	permitted []string // parts that train.Check shall pass over
}

// changesSince compares this run with the one of a checkpoint, and permits what is allowed of that.
func (j *job) changesSince(c *checkpoint.Checkpoint, identity map[string]string, dir *runDir, allowed []string) *changes {
	x := &changes{parts: changedSince(c, identity), was: c.Total, is: j.data.Steps(), taken: c.Step}
	if i := slices.Index(x.parts, "recipe"); i >= 0 {
		var then config.Config
		if then, x.unknown = recipeThen(c, dir); x.unknown == nil {
			now := j.understood()
			if then.Compute.Dtype == "auto" { // format 1 kept what the file says
				now = j.cfg
			}
			x.keys = differences(recipeOf(then), recipeOf(now))
			for i, key := range x.keys {
				if strings.HasPrefix(key, "compute.dtype ") && j.cfg.Compute.Dtype == "auto" {
					x.keys[i] = key + " (which auto means on this device)"
				}
			}
		}
		if x.unknown == nil && len(x.keys) == 0 { // as this version writes it, with the keys that are new in it
			x.parts = slices.Delete(x.parts, i, i+1)
			x.permitted = append(x.permitted, "recipe")
		}
	}
	for _, key := range x.keys {
		if name, _, _ := strings.Cut(key, " "); slices.Contains([]string{"method", "lora.r", "lora.target_modules"}, name) {
			x.shapes = append(x.shapes, name)
		}
	}
	text := x.text() && (j.otherText || slices.Contains(allowed, "text"))
	for _, part := range x.parts {
		switch part {
		case "template", "tokenizer", specials:
			if !text {
				continue
			}
		case "data", "eval": // these are hashed as tokens, so that another text makes others of them
			if !text && !slices.Contains(allowed, part) {
				continue
			}
		case "recipe":
			if len(x.shapes) > 0 || !slices.Contains(allowed, part) {
				continue
			}
		default:
			continue
		}
		x.permitted = append(x.permitted, part)
	}
	// how many steps there are follows from the rows and the recipe
	if follows := x.permits("data") || x.has("recipe") && x.permits("recipe"); follows && x.was != x.is && x.is > c.Step {
		x.permitted = append(x.permitted, train.NumberOfSteps)
	}
	return x
}

func (x *changes) has(part string) bool     { return slices.Contains(x.parts, part) }
func (x *changes) permits(part string) bool { return slices.Contains(x.permitted, part) }

// text: rows become tokens otherwise.
func (x *changes) text() bool {
	return slices.ContainsFunc(x.parts, func(part string) bool { return slices.Contains(train.TextParts(), part) })
}

// say warns of every change that the run goes on with.
func (x *changes) say(c *checkpoint.Checkpoint, identity map[string]string, log *zap.Logger) {
	for _, part := range x.parts {
		log.Warn("going on with another "+part+", as allowed", zap.String("there", c.Identity[part]), zap.String("here", identity[part]))
	}
	if len(x.keys) > 0 {
		log.Warn("the recipe: " + strings.Join(x.keys, ", "))
	}
	if x.was != x.is {
		log.Warn(fmt.Sprintf("the run had %d steps and has %d: from step %d on, rows and learning rate are those of a run of %d", x.was, x.is, c.Step+1, x.is))
	} else if x.has("data") || x.has("recipe") {
		log.Warn(fmt.Sprintf("from step %d on, rows and learning rate are those that a run of what it is now would have there; the number of steps stays %d", c.Step+1, x.is))
	}
}

// forget is train.Forget, said; it also takes back an early stop that a run of what it is now would not have made. patience is
// that run's.
func (x *changes) forget(c *checkpoint.Checkpoint, identity map[string]string, patience int, log *zap.Logger) {
	if train.Forget(&c.State, identity) {
		log.Warn("the losses on the other held-out rows no longer count: the best state and the patience of early stopping begin anew")
	}
	if c.Stopped != "" && len(x.parts) > 0 && (patience == 0 || c.BadEvals < patience) {
		log.Warn("the run had stopped early (" + c.Stopped + ") and goes on")
		c.Stopped = ""
	}
}

// otherwise says what makes the run go on equal to rounding only, "" where it is equal to the bit.
func otherwise(was, is checkpoint.Made) string {
	if was == (checkpoint.Made{}) { // format 1 did not know
		return ""
	}
	var list []string
	for _, x := range []struct {
		what    string
		was, is any
	}{
		{"device", was.Device, is.Device}, {"instruction set", was.ISA, is.ISA}, {"compute.micro_batch_tokens", was.MicroBatchTokens, is.MicroBatchTokens},
	} {
		if x.was != x.is {
			list = append(list, fmt.Sprintf("%s was %v, is %v", x.what, x.was, x.is))
		}
	}
	return strings.Join(list, ", ")
}

// recipeThen is the run file that a checkpoint was made with: format 1 does not keep it, but run_dir has it.
func recipeThen(c *checkpoint.Checkpoint, dir *runDir) (config.Config, error) {
	if c.Recipe == "" {
		return config.Resolved(dir.file(runYAML))
	}
	return config.ResolvedText(c.Dir, c.Recipe)
}

// explain adds to the refusal of another run what its parts are, which keys of the recipe differ, and what lets it go on.
func (j *job) explain(err error, x *changes) error {
	var changed *train.ChangedError
	if !errors.As(err, &changed) {
		return err
	}
	for _, part := range changed.Parts {
		switch part {
		case "model":
			err = fmt.Errorf("%w; model: %s", err, hashes(changed.There[part], changed.Here[part]))
		case "template", "tokenizer", specials:
			err = fmt.Errorf("%w; %s: %s; --allow-change text, or %s, goes on with it", err, part, hashes(changed.There[part], changed.Here[part]), j.override())
		case "data":
			err = fmt.Errorf("%w; data: the rows of data.train, their shares and order; --allow-change data goes on with them", err)
		case "eval":
			err = fmt.Errorf("%w; eval: the held-out rows of data.eval, which decide what is best and when to stop; --allow-change eval goes on with them", err)
		case "recipe":
			switch {
			case x.unknown != nil:
				err = fmt.Errorf("%w; what the recipe was cannot be told: %w", err, x.unknown)
			case len(x.shapes) > 0:
				err = fmt.Errorf("%w; recipe: %s; %s decides what is trained and never changes in mid-run", err, strings.Join(x.keys, ", "), strings.Join(x.shapes, " and "))
			default:
				err = fmt.Errorf("%w; recipe: %s; --allow-change recipe goes on with that", err, strings.Join(x.keys, ", "))
			}
		case train.NumberOfSteps:
			err = fmt.Errorf("%w; the run had %d steps, of which %d are taken, and would have %d", err, x.was, x.taken, x.is)
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
