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
	waits := false // lines of metrics.jsonl do
	record := func(line any) error {
		if err := metrics.Write(line); err != nil {
			return err
		}
		n, err := metrics.Waiting()
		if n > 0 && !waits {
			log.Warn("metrics.jsonl cannot be written; its lines wait in memory, and training goes on", zap.Error(err))
		} else if n == 0 && waits {
			log.Info("metrics.jsonl is whole again")
		}
		waits = n > 0
		return nil
	}
	return train.Events{
		OnStep: func(st train.Step, total int) error {
			bar.Step(st.Step, fmt.Sprintf("loss %.4f", st.Loss), fmt.Sprintf("rate %.2e", st.LearningRate), fmt.Sprintf("%.0f tokens/s", st.TokensPerSecond), fmt.Sprintf("norm %.3f", st.GradNorm))
			return record(st)
		},
		OnEval: func(e train.Evaluation) error {
			bar.Say(fmt.Sprintf("step %d  eval loss %.4f over %d tokens%s", e.Step, e.EvalLoss, e.Tokens, map[bool]string{true: ", best so far"}[e.Best]))
			return record(e)
		},
		OnGuard: func(e train.GuardEvent) error { return leftOut(e, bar, metrics, record, log) },
		OnSave: func(s train.Saved) error {
			switch {
			case s.Err == nil:
				log.Debug("checkpoint", zap.Int("step", s.Step), zap.String("dir", s.Dir), zap.Int64("bytes", s.Bytes), zap.Duration("held", s.Held), zap.Duration("waited", s.Waited), zap.Duration("took", s.Took))
				logHealth(log, s.Step)
			case !s.Last: // of the last one the result says it
				log.Warn(fmt.Sprintf("checkpoint of step %d not written: %v; %s; training goes on", s.Step, s.Err, stands(s.Stands)))
			}
			if s.Left != nil {
				log.Warn("an old checkpoint stays", zap.Error(s.Left))
			}
			return nil
		},
	}
}

// stands says from where a run can be gone on with whose newest state was not written.
func stands(step int) string {
	if step < 0 {
		return "there is none yet"
	}
	return fmt.Sprintf("that of step %d stands", step)
}

// alsoUnsaved is err, if any, and that the state in which a run ended could not be written, if it could not.
func alsoUnsaved(err error, r train.Result) error {
	if r.NotSaved == nil {
		return err
	}
	cure := "goes on from there"
	if r.Stands < 0 {
		cure = "starts over"
	}
	unsaved := fmt.Errorf("state NOT saved: %w; %s; once the disk takes it, --resume %s", r.NotSaved, stands(r.Stands), cure)
	if err == nil {
		return unsaved
	}
	return fmt.Errorf("%w; %w", err, unsaved)
}
