package config

import (
	"fmt"
	"os"
)

// The most that data/loader takes (MaxShare, MaxEpochs there): this package is below it and cannot ask.
const (
	maxShare  = 10_000
	maxEpochs = 1_000_000
)

// validate adds a complaint for every value that cannot be run, and for every file that is not there. Keys that have one
// already get no second.
func (c *Config) validate(p *problems) {
	need := func(ok bool, key, format string, a ...any) {
		if !ok && !p.known(key) {
			p.add(key, fmt.Sprintf(format, a...))
		}
	}
	need(c.Model != "", "model", "is missing; set it to a Hugging Face model directory")
	if c.Model != "" {
		need(isDir(c.Model), "model", "%s is not a directory", c.Model)
	}
	need(c.RunDir != "", "run_dir", "is missing; name the directory this run shall fill")
	need(len(c.Data.Train) > 0, "data.train", "is missing; name at least one file: train: [{path: rows.jsonl}]")
	for _, group := range []struct {
		key     string
		sources []Source
	}{{"data.train", c.Data.Train}, {"data.eval", c.Data.Eval}} {
		for i, s := range group.sources {
			key := fmt.Sprintf("%s[%d]", group.key, i)
			need(s.Path != "", key+".path", "is missing")
			if s.Path != "" {
				st, err := os.Stat(s.Path)
				need(err == nil && !st.IsDir(), key+".path", "%s is not a file", s.Path)
			}
			need(s.Weight > 0 && s.Weight <= maxShare, key+".weight", "is %g; it must be over 0 and at most %d", s.Weight, maxShare)
			need(s.Repeat >= 1 && s.Repeat <= maxShare, key+".repeat", "is %d; it must be at least 1 and at most %d", s.Repeat, maxShare)
		}
	}
	need(c.SystemRatio >= 0 && c.SystemRatio <= 1, "system_ratio", "is %g; it must lie between 0 and 1", c.SystemRatio)
	need(c.Data.MaxLength >= 8, "data.max_length", "is %d; it must be at least 8", c.Data.MaxLength)

	if c.Method == "lora" {
		need(c.LoRA.R >= 1, "lora.r", "is %d; it must be at least 1", c.LoRA.R)
		need(c.LoRA.Alpha > 0, "lora.alpha", "is %g; it must be positive", c.LoRA.Alpha)
		need(c.LoRA.Dropout >= 0 && c.LoRA.Dropout < 1, "lora.dropout", "is %g; it must be at least 0 and below 1", c.LoRA.Dropout)
		need(len(c.LoRA.TargetModules) > 0, "lora.target_modules", "is empty; set all-linear or names such as [q_proj, v_proj]")
		if c.LoRA.InitFrom != "" {
			need(isDir(c.LoRA.InitFrom), "lora.init_from", "%s is not a directory", c.LoRA.InitFrom)
		}
	}
	t := c.Train
	need(t.Epochs > 0 || t.Steps != 0, "train.epochs", "is %g; set it, or train.steps, over 0", t.Epochs)
	need(t.Epochs <= maxEpochs || t.Steps > 0, "train.epochs", "is %g; it must be at most %d, or set train.steps", t.Epochs, maxEpochs)
	need(t.Steps >= 0, "train.steps", "is %d; it must not be negative", t.Steps)
	need(t.ExamplesPerStep >= 1, "train.examples_per_step", "is %d; it must be at least 1", t.ExamplesPerStep)
	need(t.LearningRate > 0, "train.learning_rate", "is %g; it must be positive", t.LearningRate)
	need(t.WarmupSteps >= 0, "train.warmup_steps", "is %d; it must not be negative", t.WarmupSteps)
	need(t.WarmupRatio >= 0 && t.WarmupRatio <= 1, "train.warmup_ratio", "is %g; it must lie between 0 and 1", t.WarmupRatio)
	need(t.WeightDecay >= 0, "train.weight_decay", "is %g; it must not be negative", t.WeightDecay)
	need(t.MaxGradNorm >= 0, "train.max_grad_norm", "is %g; it must not be negative (0 = off)", t.MaxGradNorm)
	need(t.Adam.Beta1 >= 0 && t.Adam.Beta1 < 1, "train.adam.beta1", "is %g; it must be at least 0 and below 1", t.Adam.Beta1)
	need(t.Adam.Beta2 >= 0 && t.Adam.Beta2 < 1, "train.adam.beta2", "is %g; it must be at least 0 and below 1", t.Adam.Beta2)
	need(t.Adam.Epsilon > 0, "train.adam.epsilon", "is %g; it must be positive", t.Adam.Epsilon)
	need(t.Seed >= 0, "train.seed", "is %d; it must not be negative", t.Seed)

	m := c.Compute.MicroBatchTokens
	need(m == 0 || m >= 64, "compute.micro_batch_tokens", "is %d; it must be auto or at least 64", m)
	need(c.Compute.Threads >= 0, "compute.threads", "is %d; it must not be negative (0 = all cores)", c.Compute.Threads)
	need(c.Eval.Every >= 0, "eval.every", "is %d; it must not be negative", c.Eval.Every)
	need(c.Eval.EarlyStoppingPatience >= 0, "eval.early_stopping_patience", "is %d; it must not be negative", c.Eval.EarlyStoppingPatience)
	need(c.Eval.EarlyStoppingThreshold >= 0, "eval.early_stopping_threshold", "is %g; it must not be negative", c.Eval.EarlyStoppingThreshold)
	if c.Eval.EarlyStoppingPatience > 0 || c.Eval.LoadBestModelAtEnd {
		need(len(c.Data.Eval) > 0, "data.eval", "is empty, but early stopping and load_best_model_at_end need held-out rows")
	}
	need(c.Checkpoint.Every >= 0, "checkpoint.every", "is %d; it must not be negative", c.Checkpoint.Every)
	need(c.Checkpoint.Keep >= 1, "checkpoint.keep", "is %d; it must be at least 1", c.Checkpoint.Keep)
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
