package train

import (
	"fmt"
	"slices"
	"strings"

	"attune/engine/checkpoint"
	"attune/internal/safetensors"
)

// ChangedError says that a checkpoint is of another run.
type ChangedError struct {
	Dir   string   // the checkpoint
	Parts []string // what differs: keys of Options.Identity, "number of steps"
}

func (e *ChangedError) Error() string {
	verb := "has"
	if len(e.Parts) > 1 {
		verb = "have"
	}
	return fmt.Sprintf("resume from %s: the %s %s changed since; take what it was, or another run_dir", e.Dir, strings.Join(e.Parts, " and the "), verb)
}

// parts are the keys of an identity in the order in which differences are told.
func parts() []string { return []string{"model", "template", "tokenizer", "data", "eval", "recipe"} }

// changed names what differs between a checkpoint's run and this one.
func (r *Run) changed(c *checkpoint.Checkpoint) []string {
	var list []string
	for _, part := range parts() {
		if c.Identity[part] != r.Identity[part] {
			list = append(list, part)
		}
	}
	if c.Total != r.Data.Steps() {
		list = append(list, "number of steps")
	}
	return list
}

// Resume puts the run where a checkpoint stands: weights, optimizer and counters. One of another run is a *ChangedError.
func (r *Run) Resume(c *checkpoint.Checkpoint) error {
	if parts := r.changed(c); len(parts) > 0 {
		return &ChangedError{Dir: c.Dir, Parts: parts}
	}
	if err := r.Session.LoadTrained(reader(c.Weights)); err != nil {
		return fmt.Errorf("resume from %s: %w", c.Dir, err)
	}
	if err := r.Optimizer.Load(c.Step, reader(c.Optimizer)); err != nil {
		return fmt.Errorf("resume from %s: %w", c.Dir, err)
	}
	r.state, r.saved = c.State, true
	return nil
}

// reader gives the float32 bytes of a checkpoint's tensors, checked against the shape that is wanted. It lets go of the
// memory of each when the next one is asked for, so that a state is never in memory twice.
func reader(f *safetensors.File) func(name string, shape []int) ([]byte, error) {
	var last string
	return func(name string, shape []int) ([]byte, error) {
		f.Release(last)
		last = name
		t, ok := f.Info(name)
		if !ok {
			return nil, fmt.Errorf("%s has no tensor %s", f.Path(), name)
		}
		if t.Dtype != "F32" || !slices.Equal(t.Shape, shape) {
			return nil, fmt.Errorf("%s: %s is %s %v; this run has F32 %v", f.Path(), name, t.Dtype, t.Shape, shape)
		}
		return f.Data(name), nil
	}
}
