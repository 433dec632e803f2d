package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/engine/peft"
	"attune/internal/safetensors"
)

// What is published of a best state says how far that state was trained, not the run.
func TestBestStateIsDescribed(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 8, "train.learning_rate": 0.3, "train.lr_scheduler": "constant", "eval.every": 1, "eval.load_best_model_at_end": true,
		"eval.early_stopping_threshold": 0.1})
	var sum summary
	if err := json.Unmarshal([]byte(l.train(t, "--json").stdout), &sum); err != nil {
		t.Fatal(err)
	}
	if !sum.LoadedBest || sum.BestStep == 8 {
		t.Fatalf("the last state is the best: %+v", sum)
	}
	steps, evals := readMetrics(t, l.runDir())
	var trained int64
	for _, s := range steps[:sum.BestStep] {
		trained += int64(s.Trained)
	}
	a, err := peft.Load(filepath.Join(l.runDir(), adapterDir))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for key, want := range map[string]string{"steps": strconv.Itoa(sum.BestStep), "trained_tokens": strconv.FormatInt(trained, 10),
		"eval_loss": strconv.FormatFloat(evals[sum.BestStep], 'f', 4, 64)} {
		if a.Metadata[key] != want {
			t.Errorf("%s is %q, that of the best state %q", key, a.Metadata[key], want)
		}
	}
}

// A run that only got worse publishes its last state and says so.
func TestNoneBetterThanBefore(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 2, "eval.every": 1, "eval.load_best_model_at_end": true, "eval.early_stopping_threshold": 100})
	o := l.train(t)
	if !strings.Contains(o.stdout, noneBetter) || !strings.Contains(o.stderr, noneBetter) {
		t.Errorf("nobody is warned:\n%s%s", o.stdout, o.stderr)
	}
	var sum summary
	if err := json.Unmarshal([]byte(l.train(t, "--resume", "--json").stdout), &sum); err != nil || !sum.NoneBetter || sum.LoadedBest {
		t.Errorf("%+v, %v", sum, err)
	}
}

// An adapter knows its base: another of the same shape is refused to train on, and warned of when it answers.
func TestAnotherBase(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 1})
	l.train(t)
	adapter, other := filepath.Join(l.runDir(), adapterDir), smallModel(t, model.NewOptions{Seed: 4})
	next := l.with(lesson{"model": other, "lora.init_from": adapter, "run_dir": filepath.Join(t.TempDir(), "next")})
	wantCode(t, exitUsage, []string{"another base model", adapter}, next.args("train")...)
	if _, err := os.Stat(next.runDir()); !os.IsNotExist(err) {
		t.Errorf("a run that was refused left %s (%v)", next.runDir(), err)
	}
	o := next.with(lesson{"lora.allow_template_change": true}).train(t)
	if !strings.Contains(o.stderr, "another base model") {
		t.Errorf("nobody is warned:\n%s", o.stderr)
	}
	ask := func(base string) string {
		return wantCode(t, exitOK, nil, "generate", "--model", base, "--adapter", adapter, "--prompt", "one", "--max-new-tokens", "1").stderr
	}
	if s := ask(other); !strings.Contains(s, "another base model") {
		t.Errorf("nobody is warned:\n%s", s)
	}
	for what, own := range map[string]string{"its own base": l["model"].(string), "its own base in two files": sharded(t, l["model"].(string))} {
		if s := ask(own); strings.Contains(s, "another base model") {
			t.Errorf("%s is called another:\n%s", what, s)
		}
		wantCode(t, exitOK, nil, next.with(lesson{"model": own}).args("plan", "--time=false")...)
	}
}

// sharded is a copy of a model with its weights in two files, as large ones are published.
func sharded(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := openTensors(t, filepath.Join(from, safetensors.SingleName))
	index := map[string]string{}
	var shards [2][]safetensors.Tensor
	for i, x := range f.Tensors() {
		shards[i%2] = append(shards[i%2], safetensors.Tensor{Name: x.Name, Dtype: x.Dtype, Shape: x.Shape, Data: f.Data(x.Name)})
		index[x.Name] = fmt.Sprintf("model-%d.safetensors", i%2)
	}
	for i, ts := range shards {
		if err := safetensors.Write(filepath.Join(dir, fmt.Sprintf("model-%d.safetensors", i)), ts, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeJSONFile(filepath.Join(dir, safetensors.IndexName), map[string]any{"weight_map": index}); err != nil {
		t.Fatal(err)
	}
	return dir
}
