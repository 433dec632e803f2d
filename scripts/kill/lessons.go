package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// lesson is a kind of run: the keys of its run file, and what is known of it.
type lesson struct {
	name   string
	keys   []string      // key=value
	length time.Duration // of the unbroken run
	idle   time.Duration // of one that has nothing left to do but to read and to publish
	pace   float64       // how much longer the machine takes now
	whole  string        // run_dir of the unbroken run
	rounds int
	fell   []int // kills by phase
}

// makeLessons are runs that differ in what a checkpoint must hold, over the models and rows of the reference data, or small
// random ones of the same architectures.
func makeLessons(ctx context.Context, program, shared, root string) ([]*lesson, error) {
	all := []struct {
		name, golden, kind string
		keys               []string
	}{
		{"LoRA with dropout, float32", "llama-chatml-lora", "llama", []string{"lora.dropout=0.1", "lora.r=8", "compute.dtype=float32", "checkpoint.every=1"}},
		{"full, float32", "llama-zephyr-full", "llama", []string{"method=full", "compute.dtype=float32", "train.weight_decay=0.1", "checkpoint.every=3"}},
		{"LoRA, bfloat16, best", "qwen2-chatml-multiturn", "qwen2", []string{"lora.dropout=0.2", "lora.use_rslora=true", "lora.target_modules=[q_proj, v_proj]",
			"train.learning_rate=0.05", "compute.dtype=bfloat16", "checkpoint.every=4", "eval.every=3", "eval.load_best_model_at_end=true"}},
		{"full, bfloat16, best", "qwen3-chatml-system", "qwen3", []string{"method=full", "compute.dtype=bfloat16", "train.learning_rate=0.02", "checkpoint.every=2",
			"eval.every=2", "eval.load_best_model_at_end=true"}},
		{"LoRA, steps left out", "llama-chatml-lora", "llama", []string{"lora.dropout=0.1", "compute.dtype=float32", "checkpoint.every=2", "checkpoint.keep_every=6",
			"guard.spike=skip", "guard.window=8", "guard.zscore=1", "guard.most=100"}},
		{"full, gone back", "llama-zephyr-full", "llama", []string{"method=full", "compute.dtype=float32", "checkpoint.every=3", "eval.every=2",
			"guard.spike=rollback", "guard.window=8", "guard.zscore=1", "guard.most=100"}},
	}
	var lessons []*lesson
	for _, l := range all {
		dir := filepath.Join(shared, "goldens", l.golden)
		if _, err := os.Stat(filepath.Join(dir, "model")); err != nil {
			dir = filepath.Join(root, l.golden)
			if err := makeGolden(ctx, program, dir, l.kind); err != nil {
				return nil, err
			}
		}
		lessons = append(lessons, &lesson{name: l.name, fell: make([]int, len(phases)), keys: append([]string{
			"model=" + filepath.Join(dir, "model"), "data.train=" + filepath.Join(dir, "train.jsonl"), "data.eval=" + filepath.Join(dir, "eval.jsonl"),
			"data.max_length=384", "data.overlength=truncate", "data.max_cut_share=1", "train.learning_rate=0.005", "train.warmup_steps=2",
			"train.examples_per_step=4", fmt.Sprintf("train.steps=%d", steps), "compute.micro_batch_tokens=512", "checkpoint.keep=2", // 72 rows: of two epochs
		}, l.keys...)})
	}
	return lessons, nil
}

// makeGolden makes a small random model and rows for it in dir.
func makeGolden(ctx context.Context, program, dir, kind string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, program, "new-model", filepath.Join(dir, "model"), "--model-type", kind, "--hidden-size", "64").CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a model: %w\n%s", err, out)
	}
	for name, n := range map[string]int{"train.jsonl": 72, "eval.jsonl": 8} {
		var b strings.Builder
		for i := range n {
			x, y := i*7%50+n%3, i*13%40
			fmt.Fprintf(&b, `{"messages": [{"role": "user", "content": "What is %d + %d?"}, {"role": "assistant", "content": "It is %d.%s"}]}`+"\n", x, y, x+y,
				strings.Repeat(" Yes, it is.", i%9))
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// args is the command line of a part of the run.
func (l *lesson) args(runDir string, threads int) []string {
	args := []string{"train", "--resume", "--set", "run_dir=" + runDir, "--set", fmt.Sprintf("compute.threads=%d", threads)}
	for _, k := range l.keys {
		args = append(args, "--set", k)
	}
	return args
}

// steps are those of every run.
const steps = 24

// unbroken makes the run that the others are compared with, and times it.
func (l *lesson) unbroken(ctx context.Context, program, root string) error {
	l.whole = filepath.Join(root, "whole", strings.ReplaceAll(l.name, " ", "-"), "run")
	l.pace = 1
	for _, length := range []*time.Duration{&l.length, &l.idle} {
		begin := time.Now()
		if out, err := exec.CommandContext(ctx, program, l.args(l.whole, 2)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", l.name, err, out)
		}
		*length = time.Since(begin)
	}
	return nil
}

// remaining is how long a run takes that goes on from a step.
func (l *lesson) remaining(step int) time.Duration {
	left := l.idle + max(0, l.length-l.idle)*time.Duration(steps-step)/steps
	return time.Duration(l.pace * float64(left))
}

// took learns of the machine's load from a process that went from a step to the end.
func (l *lesson) took(step int, d time.Duration) {
	l.pace *= (1 + float64(d)/float64(l.remaining(step))) / 2
}
