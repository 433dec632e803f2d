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

	There, Here map[string]string // the identity of the checkpoint's run and of this one
}

func (e *ChangedError) Error() string {
	what, verb := strings.ReplaceAll(strings.Join(e.Parts, " and the "), "_", " "), "has"
	if len(e.Parts) > 1 || strings.HasSuffix(what, "tokens") {
		verb = "have"
	}
	return fmt.Sprintf("resume from %s: the %s %s changed since; take what it was, or another run_dir", e.Dir, what, verb)
}

// parts are the keys of an identity in the order in which differences are told.
func parts() []string {
	return []string{"model", "template", "tokenizer", "special_tokens", "data", "eval", "recipe"}
}

// TextParts are the parts of an identity that say how rows become tokens.
func TextParts() []string { return []string{"template", "tokenizer", "special_tokens"} }

// NumberOfSteps is the part of a run that is in no identity: it follows from the rows and the recipe.
const NumberOfSteps = "number of steps"

// Check is a *ChangedError where a checkpoint is of another run than that of identity and so many steps. The parts allowed
// may differ; one that the checkpoint does not name was not known yet when it was written.
func Check(c *checkpoint.Checkpoint, identity map[string]string, steps int, allowed ...string) error {
	var list []string
	for _, part := range parts() {
		there, known := c.Identity[part]
		if known && there != identity[part] && !slices.Contains(allowed, part) {
			list = append(list, part)
		}
	}
	if c.Total != steps && !slices.Contains(allowed, NumberOfSteps) {
		list = append(list, NumberOfSteps)
	}
	if len(list) > 0 {
		return &ChangedError{Dir: c.Dir, Parts: list, There: c.Identity, Here: identity}
	}
	return nil
}

// Forget takes from a state what was measured on other held-out rows than those of an identity, that is what is best of them
// and how long none was better, and says whether there are others. Where it is another text that makes other tokens of them, the
// losses count on.
func Forget(st *checkpoint.State, identity map[string]string) bool {
	other := func(part string) bool {
		there, known := st.Identity[part]
		return known && there != identity[part]
	}
	if !other("eval") || slices.ContainsFunc(TextParts(), other) {
		return false
	}
	st.FirstLoss, st.EvalLoss, st.BestLoss, st.BestStep, st.BadEvals = nil, nil, nil, 0, 0
	return true
}

// Resume puts the run where a checkpoint stands: weights, optimizer and counters. One of another run is a *ChangedError,
// as Check says.
func (r *Run) Resume(c *checkpoint.Checkpoint, allowed ...string) error {
	if err := Check(c, r.Identity, r.Data.Steps(), allowed...); err != nil {
		return err
	}
	if err := r.load(c); err != nil {
		return fmt.Errorf("resume from %s: %w", c.Dir, err)
	}
	r.state, r.saved = c.State, true
	return nil
}

// load puts the weights and the optimizer where a checkpoint has them.
func (r *Run) load(c *checkpoint.Checkpoint) error {
	if err := r.Session.LoadTrained(reader(c.Weights)); err != nil {
		return err
	}
	return r.Optimizer.Load(c.Updates, reader(c.Optimizer))
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
