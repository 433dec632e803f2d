package main

import (
	"fmt"

	"attune/engine/train"
	"attune/internal/obs"

	"go.uber.org/zap"
)

// logFailure keeps why a run failed in its log; a run that was asked to stop has not failed.
func logFailure(log *zap.Logger, err error) {
	if err != nil && exitCode(err) != exitInterrupted {
		log.Error("failed", zap.Error(err))
	}
}

// events turns what the loop reports into progress, metrics and log.
func events(bar *obs.Progress, metrics *obs.Metrics, log *zap.Logger) train.Events {
	return train.Events{
		OnStep: func(st train.Step, total int) error {
			bar.Step(st.Step, fmt.Sprintf("loss %.4f", st.Loss), fmt.Sprintf("rate %.2e", st.LearningRate), fmt.Sprintf("%.0f tokens/s", st.TokensPerSecond), fmt.Sprintf("norm %.3f", st.GradNorm))
			return metrics.Write(st)
		},
		OnEval: func(e train.Evaluation) error {
			bar.Say(fmt.Sprintf("step %d  eval loss %.4f over %d tokens%s", e.Step, e.EvalLoss, e.Tokens, map[bool]string{true: ", best so far"}[e.Best]))
			return metrics.Write(e)
		},
		OnCheckpoint: func(path string, step int) error {
			log.Debug("checkpoint", zap.Int("step", step), zap.String("dir", path))
			return nil
		},
	}
}
