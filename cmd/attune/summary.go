package main

import (
	"bytes"
	"fmt"

	"attune/engine/train"
)

// summary is the last thing train prints.
type summary struct {
	Steps         int      `json:"steps"`
	Tokens        int64    `json:"tokens"`
	TrainedTokens int64    `json:"trained_tokens"`
	Seconds       float64  `json:"seconds"`
	TokensPerSec  float64  `json:"tokens_per_second"`
	EvalBefore    *float64 `json:"eval_loss_before,omitempty"`
	EvalAfter     *float64 `json:"eval_loss,omitempty"`
	BestStep      int      `json:"best_step,omitempty"`
	EarlyStopped  bool     `json:"early_stopped,omitempty"`
	LoadedBest    bool     `json:"loaded_best,omitempty"`
	NoneBetter    bool     `json:"no_eval_better_than_before,omitempty"` // with load_best_model_at_end
	BestDamaged   bool     `json:"best_damaged,omitempty"`               // with load_best_model_at_end
	LeftOut       int      `json:"steps_left_out,omitempty"`             // by the guard
	WentBack      int      `json:"rollbacks,omitempty"`                  // times that it went back to a checkpoint
	Held          float64  `json:"checkpoint_seconds_held"`              // training stood still for checkpoints, of this part of the run
	NotSaved      string   `json:"state_not_saved,omitempty"`            // why
	Written       string   `json:"written"`
}

// noneBetter is said where load_best_model_at_end has nothing to load.
const noneBetter = "no evaluation was better than the one before training; the last state is published"

// bestDamaged is said where load_best_model_at_end cannot load the best state.
const bestDamaged = "the checkpoint of the best state cannot be read; the last state is published"

func summaryOf(r train.Result, where string) summary {
	x := summary{Steps: r.Steps, Tokens: r.Tokens, TrainedTokens: r.TrainedTokens, Seconds: r.Seconds, EvalBefore: r.FirstEval, EvalAfter: r.LastEval,
		BestStep: r.BestStep, EarlyStopped: r.EarlyStopped, LoadedBest: r.LoadedBest, NoneBetter: r.NoneBetter, BestDamaged: r.BestDamaged != nil,
		LeftOut: r.LeftOut, WentBack: r.WentBack, Held: r.Held.Seconds(), Written: where}
	if r.NotSaved != nil {
		x.NotSaved = r.NotSaved.Error()
	}
	if r.LoadedBest {
		x.EvalAfter = r.Trained.Eval
	}
	if r.Seconds > 0 {
		x.TokensPerSec = float64(r.Tokens) / r.Seconds
	}
	return x
}

func summarize(s streams, asJSON bool, x summary) error {
	if asJSON {
		return writeJSON(s.out, x)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d steps, %d tokens (%d trained) in %.1f s, %.0f tokens/s\n", x.Steps, x.Tokens, x.TrainedTokens, x.Seconds, x.TokensPerSec)
	if x.LeftOut > 0 {
		fmt.Fprintf(&b, "warning: steps that the guard left out: %d; times that it went back to a checkpoint: %d\n", x.LeftOut, x.WentBack)
	}
	if x.EvalAfter != nil {
		b.WriteString("eval loss ")
		if x.EvalBefore != nil {
			fmt.Fprintf(&b, "%.4f -> ", *x.EvalBefore)
		}
		fmt.Fprintf(&b, "%.4f\n", *x.EvalAfter)
	}
	if x.EarlyStopped {
		b.WriteString("stopped early: the eval loss no longer fell\n")
	}
	switch {
	case x.NoneBetter:
		fmt.Fprintf(&b, "warning: %s\n", noneBetter)
	case x.BestDamaged:
		fmt.Fprintf(&b, "warning: %s\n", bestDamaged)
	case x.LoadedBest:
		fmt.Fprintf(&b, "published the best evaluated state, that of step %d\n", x.BestStep)
	}
	fmt.Fprintf(&b, "wrote %s\n", x.Written)
	_, err := s.out.Write(b.Bytes())
	return err
}
