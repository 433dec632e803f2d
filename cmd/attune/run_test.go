package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/engine/optim"
	"attune/engine/peft"
	"attune/internal/config"
)

// plan tells what the run file and the rows come to.
func TestPlanReport(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 0, "train.epochs": 2.5, "train.warmup_ratio": 0.1, "lora.target_modules": "[q_proj, down_proj]"})
	read := func(flags ...string) (p planReport) {
		t.Helper()
		o := wantCode(t, exitOK, nil, l.args("plan", append(flags, "--json")...)...)
		if err := json.Unmarshal([]byte(o.stdout), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := read()
	if p.Steps != 25 || p.StepsPerEpoch != 10 || p.Warmup != optim.WarmupSteps(0.1, 25) || p.Warmup == 0 {
		t.Errorf("%d steps, %d an epoch, %d of warm-up; want 25, 10, %d", p.Steps, p.StepsPerEpoch, p.Warmup, optim.WarmupSteps(0.1, 25))
	}
	if len(p.Train) != 1 || p.Train[0].Rows != 40 || p.Train[0].Schema != "instruction" || len(p.Eval) != 1 || p.Eval[0].Rows != 8 {
		t.Errorf("rows: %+v %+v", p.Train, p.Eval)
	}
	c, err := model.ReadConfig(l["model"].(string))
	if err != nil {
		t.Fatal(err)
	}
	h, f, layers := int64(c.HiddenSize), int64(c.IntermediateSize), int64(c.NumHiddenLayers)
	if want := layers * 4 * ((h + h) + (f + h)); p.Trainable != want { // r · (in + out) of both layers
		t.Errorf("%d trainable parameters, want %d", p.Trainable, want)
	}
	n, err := c.Parameters()
	if err != nil || p.Parameters != n+p.Trainable {
		t.Errorf("%d parameters, want %d and the adapter (%v)", p.Parameters, n, err)
	}
	// every weight of a linear layer takes part in two products of two operations a token: forward and the input's gradient
	if tokens := int64(p.RowTokens); p.RowFLOP < 3*tokens*n || p.RowFLOP > 8*tokens*n || p.RowBytes < 4*n {
		t.Errorf("%d operations over %d bytes for %d tokens of %d weights", p.RowFLOP, p.RowBytes, tokens, n)
	}
	m := p.Memory
	if m.Trained != 4*p.Trainable || m.Gradients != m.Trained || m.Optimizer != 2*m.Trained || m.Weights != 4*n || m.Activations <= 0 ||
		m.Total != max(m.Reading, m.Weights+m.Trained+m.Gradients+m.Optimizer+m.Activations+m.Kernels+m.Program) {
		t.Errorf("memory %+v", m)
	}
	if p.Time == nil || p.Time.MeasuredTokens <= 0 || p.Time.Seconds <= 0 || p.Time.TokensPerSecond <= 0 {
		t.Errorf("time %+v", p.Time)
	}
	if q := read("--time=false"); q.Time != nil || q.Steps != p.Steps {
		t.Errorf("without timing: %+v", q)
	}
	if _, err := os.Stat(l.runDir()); !os.IsNotExist(err) {
		t.Errorf("plan made %s", l.runDir())
	}
}

// What a run leaves behind, file by file.
func TestRunDirectory(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 12, "train.warmup_steps": 3, "checkpoint.keep": 2})
	base := l["model"].(string)
	t.Chdir(filepath.Dir(base)) // the adapter must name its base so that it is found from elsewhere
	l["model"] = filepath.Base(base)
	o := l.train(t, "--json")
	var sum summary
	if err := json.Unmarshal([]byte(o.stdout), &sum); err != nil {
		t.Fatal(err)
	}
	dir := l.runDir()
	inside := func(name string) string { return filepath.Join(dir, name) }

	steps, evals := readMetrics(t, dir)
	schedule := optim.Schedule{Name: "cosine", LearningRate: 0.01, Warmup: 3, Steps: 12}
	var trained int64
	for i, s := range steps {
		if s.Step != i+1 || s.LR != schedule.LR(i) || s.GradNorm <= 0 || s.Trained <= 0 || !(*s.Loss > 0) {
			t.Errorf("step %d: %+v, rate %g", i+1, s, schedule.LR(i))
		}
		trained += int64(s.Trained)
	}
	if len(steps) != 12 || len(evals) != 4 || evals[0] == 0 || evals[5] == 0 || evals[10] == 0 || evals[12] == 0 {
		t.Errorf("%d steps, evaluations %v; want 12 and those after 0, 5, 10 and 12", len(steps), evals)
	}
	if sum.Steps != 12 || sum.TrainedTokens != trained || sum.EvalBefore == nil || *sum.EvalBefore != evals[0] || sum.EvalAfter == nil || *sum.EvalAfter != evals[12] ||
		sum.Written != inside(adapterDir) {
		t.Errorf("summary %+v, %d trained tokens, evaluations %v", sum, trained, evals)
	}
	if !(evals[12] < evals[0]) {
		t.Errorf("nothing was learned: %v", evals)
	}

	var logged []string
	b, err := os.ReadFile(inside(logName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var r struct{ Level, Msg, TS string }
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Level == "" || r.Msg == "" {
			t.Errorf("log line %q: %v", line, err)
		}
		logged = append(logged, r.Msg)
	}
	for _, w := range []string{"rows read", "planned", "training", "done"} {
		if !strings.Contains(strings.Join(logged, "\n"), w) || !strings.Contains(o.stderr, w) {
			t.Errorf("%q is not logged both in %v and on\n%s", w, logged, o.stderr)
		}
	}

	if _, err := config.Load(inside(runYAML), nil); err != nil {
		t.Errorf("the resolved run file: %v", err)
	}
	var p provenance
	readJSON(t, inside(runJSON), &p)
	for _, part := range []string{"model", "template", "tokenizer", "data", "eval", "recipe"} {
		if len(p.SHA256[part]) != 64 {
			t.Errorf("run.json: SHA-256 of %s is %q", part, p.SHA256[part])
		}
	}
	if p.Steps != 12 || p.Attune.Go == "" || p.Dtype != "float32" || len(p.Rows) != 2 || p.Trainable == 0 {
		t.Errorf("run.json: %+v", p)
	}
	if png, err := os.ReadFile(inside(lossPNG)); err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("the loss curve: %v", err)
	}
	entries, err := os.ReadDir(inside(checkpointsDir))
	if err != nil || len(entries) != 2 || entries[0].Name() != "step-000009" || entries[1].Name() != "step-000012" {
		t.Errorf("checkpoints %v (%v), want those after 9 and 12", entries, err)
	}

	a, err := peft.Load(inside(adapterDir))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Metadata["template_sha256"] != p.SHA256["template"] || a.Metadata["base_model_sha256"] != p.SHA256["model"] || a.Config.R != 4 || a.Config.BaseModel != base {
		t.Errorf("the adapter says %v, %+v", a.Metadata, a.Config)
	}
	readme, err := os.ReadFile(filepath.Join(inside(adapterDir), "README.md"))
	if err != nil || !strings.Contains(string(readme), p.SHA256["template"]) || !strings.Contains(string(readme), "examples_per_step: 4") ||
		!strings.Contains(string(readme), "path: train.jsonl") || strings.Contains(string(readme), os.TempDir()) {
		t.Errorf("README.md (%v):\n%s", err, readme)
	}
}

// A rate at which a loss is no number, in a step or in an evaluation, ends the run by name, and nothing is published.
func TestNotANumber(t *testing.T) {
	for where, extra := range map[string]lesson{"step ": {"train.learning_rate": 1e30}, "evaluate after step 1: ": {"train.learning_rate": 1e39, "train.steps": 1}} {
		l := smallLesson(t, extra.with(lesson{"method": "full", "train.lr_scheduler": "constant"}))
		wantCode(t, exitFailed, []string{where, "not a finite number", "train.learning_rate"}, l.args("train")...)
		if _, err := os.Stat(filepath.Join(l.runDir(), modelDir)); !os.IsNotExist(err) {
			t.Errorf("a model was published (%v)", err)
		}
		for _, line := range records(t, l.runDir()) {
			var m struct{ Loss float64 }
			if err := json.Unmarshal([]byte(line), &m); err != nil || math.IsNaN(m.Loss) {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}
