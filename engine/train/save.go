package train

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"attune/engine/checkpoint"
	"attune/engine/exec"
	"attune/engine/optim"
	"attune/internal/safetensors"
	"attune/kernels"
)

// Saved is what became of a checkpoint.
type Saved struct {
	checkpoint.Saved
	Held   time.Duration // training stood still for it: to copy the state, and
	Waited time.Duration // of that, because the write was not over
	Stands int           // the step of the newest checkpoint of this run that is written; -1 = there is none
	Last   bool          // the state at the end: if it is not written, nothing goes on
}

// saves is the writing of a run's states, one at a time.
type saves struct {
	writer    *checkpoint.Writer // nil = there are no checkpoints
	copy      snapshot
	held      time.Duration // for the write under way
	waited    time.Duration
	heldInAll time.Duration
	last      bool  // the write under way is that of the state at the end
	whole     int   // the step of the newest checkpoint that is written
	any       bool  // there is one
	failed    error // why the newest write was none
	best      int   // State.BestStep of the write under way
}

// stands is Saved.Stands.
func (w *saves) stands() int {
	if !w.any {
		return -1
	}
	return w.whole
}

// beginSaves makes what writes; a run that goes on from a checkpoint has that one.
func (r *Run) beginSaves() {
	if r.Store == nil {
		return
	}
	r.saves = saves{writer: r.Store.NewWriter(), whole: r.state.Step, any: r.saved}
	if !r.Snapshot {
		return
	}
	var size int64
	for _, p := range r.Session.Params() {
		if p.Trained {
			size += SnapshotBytes(aligned(exec.Type{Dtype: kernels.Float32, Shape: p.Shape}.Bytes()))
		}
	}
	_ = r.saves.copy.prepare(r.Session.Host, size) // if there is none, a save asks once more, and does without
}

// newlySaved tells of the writes that are over by now.
func (r *Run) newlySaved() error {
	if r.Store == nil {
		return nil
	}
	return r.told(r.saves.writer.Done())
}

// saveDue writes the state now that it is time to: a copy of it, while training goes on, or itself, which is waited for.
// A write that fails does not end the run: the next one that is due is another try.
func (r *Run) saveDue() error { return r.save(r.Snapshot) }

// saveLast writes the state in which the run ends, if it is not written: one try, which is waited for.
func (r *Run) saveLast(res *Result) error {
	err := r.settle()
	if err == nil && !r.saved {
		r.saves.last = true
		err = r.save(false)
	}
	if r.Store != nil && !r.saved {
		res.NotSaved, res.Stands = r.saves.failed, r.saves.stands()
	}
	res.Held = r.saves.heldInAll
	return err
}

func (r *Run) save(background bool) error {
	if r.Store == nil {
		return nil
	}
	if err := r.settle(); err != nil { // until then the copy is the writer's
		return err
	}
	begin := time.Now()
	parts, weights := r.parts()
	var tensors []safetensors.Tensor
	var err error
	if background || r.Snapshot && !r.Session.Reaches() { // what is copied anyway is copied to where there is room for it
		tensors, err = r.saves.copy.take(r.Session, parts)
		background = background && err == nil // without memory for a copy the state itself is written, and waited for
	}
	if tensors == nil {
		if tensors, err = r.read(parts); err != nil {
			return err
		}
	}
	st := r.state
	st.Recipe, st.Made, st.Random.Seed = r.Recipe, r.Made, r.Seed
	var before func() error
	if r.Events.BeforeSave != nil {
		before = func() error { return r.Events.BeforeSave(st.Step) }
	}
	r.saved, r.saves.best = true, st.BestStep
	if background {
		r.saves.writer.Start(st, r.stay(st), tensors[:weights], tensors[weights:], before)
		r.saves.held = time.Since(begin)
		return nil
	}
	r.saves.held = time.Since(begin)
	written := time.Now()
	r.saves.writer.Write(st, r.stay(st), tensors[:weights], tensors[weights:], before)
	r.saves.waited = time.Since(written)
	r.saves.held += r.saves.waited
	return r.told(r.saves.writer.Done())
}

// parts are the tensors of the state: so many weights, and the optimizer's moments behind them.
func (r *Run) parts() (parts []optim.Param, weights int) {
	for _, p := range r.Session.Params() {
		if p.Trained {
			parts = append(parts, optim.Param{Name: p.Name, Value: r.Session.Value(p.Name)})
		}
	}
	return append(parts, r.Optimizer.State()...), len(parts)
}

// read is the state as it lies on the device. Where the host does not reach that, each tensor is brought when it is written,
// all in the memory of the largest.
func (r *Run) read(parts []optim.Param) ([]safetensors.Tensor, error) {
	var brought []byte
	tensors := make([]safetensors.Tensor, len(parts))
	for i, p := range parts {
		tensors[i] = safetensors.Tensor{Name: p.Name, Dtype: "F32", Shape: p.Value.Shape}
		if !r.Session.Reaches() {
			tensors[i].Load = func() ([]byte, error) {
				n := int(p.Value.Bytes())
				brought = slices.Grow(brought[:0], n)[:n]
				return brought, r.Session.ReadInto(brought, p.Value)
			}
			continue
		}
		data, err := r.Session.Read(p.Value)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p.Name, err)
		}
		tensors[i].Data = data
	}
	return tensors, nil
}

// settle waits for the write under way.
func (r *Run) settle() error {
	if r.Store == nil {
		return nil
	}
	begin := time.Now()
	done := r.saves.writer.Wait()
	if len(done) > 0 {
		r.saves.waited = time.Since(begin)
		r.saves.held += r.saves.waited
	}
	return r.told(done)
}

// told takes note of the writes that are over, and tells of them.
func (r *Run) told(done []checkpoint.Saved) error {
	var errs []error
	w := &r.saves
	for _, s := range done {
		if w.failed = s.Err; s.Err == nil {
			w.whole, w.any = s.Step, true
			if r.scheduled(s.Step) == s.Step {
				r.back = place{s.Step, w.best}
			}
		} else if s.Step == r.state.Step {
			r.saved = false
		}
		x := Saved{Saved: s, Held: w.held, Waited: w.waited, Stands: w.stands(), Last: w.last}
		w.heldInAll += w.held
		w.held, w.waited = 0, 0
		if r.Events.OnSave != nil {
			errs = append(errs, r.Events.OnSave(x))
		}
	}
	return errors.Join(errs...)
}

// endSaves waits for the write under way and gives back what writing took, however the run ended.
func (r *Run) endSaves() error {
	if r.Store == nil {
		return nil
	}
	return errors.Join(r.settle(), r.saves.writer.Close(), r.saves.copy.close())
}

// finish fills in the result and, where asked to, goes back to the best evaluated weights.
func (r *Run) finish(res *Result) error {
	s := r.state
	res.Steps, res.Tokens, res.TrainedTokens, res.Seconds = s.Step, s.Tokens, s.TrainedTokens, s.Seconds
	res.LeftOut, res.WentBack = leftOut(s.Guard)
	res.FirstEval, res.LastEval, res.BestStep = s.FirstLoss, s.EvalLoss, s.BestStep
	res.Trained = State{Steps: s.Step, TrainedTokens: s.TrainedTokens, Eval: s.EvalLoss, Identity: s.Identity}
	if !r.LoadBest || res.Interrupted || res.Until || s.BestStep == s.Step || s.BestLoss == nil {
		return nil
	}
	if s.BestStep == 0 {
		res.NoneBetter = true
		return nil
	}
	if r.Store == nil {
		return nil
	}
	c, err := r.Store.Open(s.BestStep)
	if err != nil {
		res.BestDamaged = fmt.Errorf("load the best state: %w", err)
		return nil
	}
	if c.BestStep != s.BestStep || c.BestLoss == nil || *c.BestLoss != *s.BestLoss {
		res.BestDamaged = fmt.Errorf("load the best state: %s is of an earlier part of the run, which took these steps otherwise", c.Dir)
		return c.Close()
	}
	res.LoadedBest = true
	res.Trained = State{Steps: c.Step, TrainedTokens: c.TrainedTokens, Eval: s.BestLoss, Identity: c.Identity}
	return errors.Join(r.Session.LoadTrained(reader(c.Weights)), c.Close())
}
