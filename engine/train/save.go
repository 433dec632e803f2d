package train

import (
	"errors"
	"fmt"

	"attune/engine/checkpoint"
	"attune/engine/optim"
	"attune/internal/safetensors"
)

func (r *Run) save() error {
	if r.CheckpointDir == "" {
		return nil
	}
	if r.Events.BeforeSave != nil {
		if err := r.Events.BeforeSave(); err != nil {
			return err
		}
	}
	weights, err := r.Session.Trained()
	if err != nil {
		return err
	}
	var moments []safetensors.Tensor
	err = r.Optimizer.Save(r.Session.Read, func(t optim.Tensor) error {
		moments = append(moments, safetensors.Tensor{Name: t.Name, Dtype: "F32", Shape: t.Shape, Data: t.Data})
		return nil
	})
	if err != nil {
		return err
	}
	dir, err := checkpoint.Save(r.CheckpointDir, r.state, weights, moments)
	if err != nil {
		return err
	}
	r.saved = true
	if err := checkpoint.Prune(r.CheckpointDir, r.Keep, r.state.BestStep); err != nil {
		return err
	}
	if r.Events.OnCheckpoint != nil {
		return r.Events.OnCheckpoint(dir, r.state.Step)
	}
	return nil
}

// finish fills in the result and, where asked to, goes back to the best evaluated weights.
func (r *Run) finish(res *Result) error {
	s := r.state
	res.Steps, res.Tokens, res.TrainedTokens, res.Seconds = s.Step, s.Tokens, s.TrainedTokens, s.Seconds
	res.FirstEval, res.LastEval, res.BestStep = s.FirstLoss, s.EvalLoss, s.BestStep
	res.Trained = State{Steps: s.Step, TrainedTokens: s.TrainedTokens, Eval: s.EvalLoss, Identity: s.Identity}
	if !r.LoadBest || res.Interrupted || s.BestStep == s.Step || s.BestLoss == nil {
		return nil
	}
	if s.BestStep == 0 {
		res.NoneBetter = true
		return nil
	}
	if r.CheckpointDir == "" {
		return nil
	}
	c, err := checkpoint.Open(checkpoint.Dir(r.CheckpointDir, s.BestStep))
	if err != nil {
		res.BestDamaged = fmt.Errorf("load the best state: %w", err)
		return nil
	}
	res.LoadedBest = true
	res.Trained = State{Steps: c.Step, TrainedTokens: c.TrainedTokens, Eval: s.BestLoss, Identity: c.Identity}
	return errors.Join(r.Session.LoadTrained(reader(c.Weights)), c.Close())
}
