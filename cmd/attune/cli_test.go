package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/internal/reftest"
)

// The exit codes of --help, each by what a user would get it for, and a word of what is said.
func TestExitCodes(t *testing.T) {
	dir, rows := smallModel(t, model.NewOptions{}), writeFile(t, "rows.jsonl", sums(0, 8)...)
	run := smallLesson(t, lesson{"model": dir, "data.train": rows})
	set := func(key string, value any) []string { return run.with(lesson{key: value}).args("plan") }
	plain := writeFile(t, "plain.jsonl", `{"text": "Nobody asked."}`)
	empty, notAdapter := writeFile(t, "empty.jsonl"), t.TempDir()
	wide := writeFile(t, "wide.jsonl", strings.Repeat(fmt.Sprintf(`{"instruction": "a", "output": "%s"}`+"\n", strings.Repeat("many ", 380)), 30))
	crowd := run.with(lesson{"data.train": fmt.Sprintf("[{path: %s, repeat: 10000}]", wide), "train.examples_per_step": 300_000, "compute.micro_batch_tokens": 1 << 30,
		"compute.recompute": "none"}) // some 570 million tokens at once: terabytes
	damaged := smallModel(t, model.NewOptions{Seed: 9})
	if err := os.Truncate(filepath.Join(damaged, "model.safetensors"), 900); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitOK, "", []string{}},
		{exitOK, "", []string{"help", "train"}},
		{exitOK, "", []string{"config"}},
		{exitUsage, "did you mean train", []string{"trian"}},
		{exitUsage, "did you mean schema", []string{"config", "shema"}},
		{exitUsage, "--nope", []string{"train", "--nope"}},
		{exitUsage, "takes no arguments", []string{"doctor", "now"}},
		{exitUsage, "no run file", []string{"train"}},
		{exitUsage, "there is no such file", []string{"plan", "-c", "missing.yaml"}},
		{exitUsage, "write key=value", []string{"plan", "--set", "train.epochs"}},
		{exitUsage, "is not a directory", set("model", filepath.Join(notAdapter, "nothing"))},
		{exitUsage, "is not a file", set("data.train", filepath.Join(notAdapter, "nothing.jsonl"))},
		{exitUsage, "llama4", set("template", "llama4")},
		{exitUsage, "no such linear layer", set("lora.target_modules", "[w_proj]")},
		{exitUsage, "no adapter directory", set("lora.init_from", notAdapter)},
		{exitUsage, "warm-up", set("train.warmup_steps", 99)},
		{exitUsage, "train.epochs", run.with(lesson{"train.epochs": "1e8", "train.steps": 0}).args("plan")},
		{exitUsage, "one of auto, float32, bfloat16", set("compute.dtype", "float8")},
		{exitUsage, "--model", []string{"generate", "--prompt", "x"}},
		{exitUsage, "either --prompt or --prompts", []string{"generate", "--model", dir}},
		{exitUsage, "not a directory", []string{"chat", "--model", filepath.Join(dir, "config.json")}},
		{exitUsage, "--top-p", []string{"chat", "--model", dir, "--top-p", "2"}},
		{exitUsage, "--max-new-tokens", []string{"generate", "--model", dir, "--prompt", "x", "--max-new-tokens", "0"}},
		{exitUsage, "the model's context 2048", []string{"generate", "--model", dir, "--prompt", strings.Repeat("long ", 500)}},
		{exitUsage, "--data", []string{"eval", "--model", dir}},
		{exitUsage, "--overlength", []string{"eval", "--model", dir, "--data", rows, "--overlength", "cut"}},
		{exitUsage, "instruction", []string{"eval", "--model", dir, "--data", rows, "--format", "instructon"}},
		{exitUsage, "--limit", []string{"eval", "--model", dir, "--data", rows, "--limit", "-1"}},
		{exitUsage, "YAML", []string{"init", "run.toml"}},
		{exitUsage, "new-model takes the directory", []string{"new-model"}},
		{exitData, empty, set("data.train", empty)},
		{exitData, "max_length", set("data.max_length", 16)},
		{exitDevice, "cuda", set("compute.device", "cuda")},
		{exitDevice, "cuda", []string{"doctor", "--device", "cuda"}},
		{exitDevice, "compute.recompute: full, or a smaller compute.micro_batch_tokens", crowd.args("plan")},
		{exitDevice, "free; set a smaller compute.micro_batch_tokens", crowd.with(lesson{"compute.recompute": "full"}).args("plan")},
		{exitDevice, "or a smaller data.max_length than the longest", crowd.with(lesson{"compute.recompute": "auto"}).args("plan")},
		{exitData, plain + ":1: no answer to compare with", []string{"eval", "--model", dir, "--data", plain, "--answers"}},
		{exitFailed, "model.safetensors", set("model", damaged)},
		{exitUsage, "is not empty", []string{"new-model", dir}},
	} {
		wantCode(t, c.code, []string{c.says}, c.args...)
	}
}

// Everything wrong with a run file is said at once, with line and nearest key.
func TestEveryComplaintAtOnce(t *testing.T) {
	file := writeFile(t, "run.yaml", "model: "+smallModel(t, model.NewOptions{}), "lora: {rank: 8, aplha: 32}", "train:", "  epochs: many", "  learningrate: 1e-4",
		"  r: 4", "compute: {dtype: fp32}", "runs: here")
	o := wantCode(t, exitUsage, []string{
		file + ":2: lora.aplha is not a key of the run file; did you mean lora.alpha?", file + ":2: lora.rank is not a key",
		file + `:4: train.epochs is the text "many"; it must be a number`,
		file + ":5: train.learningrate is not a key of the run file; did you mean train.learning_rate?",
		file + ":6: train.r is not a key of the run file; did you mean lora.r?",
		file + `:7: compute.dtype is "fp32"; it must be one of auto, float32, bfloat16`,
		file + ":8: runs is not a key of the run file", "--set train.step is not a key", "train.steps", "run_dir is missing", "data.train is missing",
	}, "plan", "-c", file, "--set", "train.step=3")
	if !strings.Contains(o.stderr, "10 things to mend") {
		t.Errorf("not ten things to mend:\n%s", o.stderr)
	}
}

// A weight file that is not there is not looked for while rows are wrong.
func TestRowsComeBeforeWeights(t *testing.T) {
	dir := smallModel(t, model.NewOptions{})
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	bad := writeFile(t, "bad.jsonl", `{"instruction": "a", "output": "b"}`, `{"instruction": "a"}`, `{"instruction": "a", "output": "b",}`)
	held := writeFile(t, "held.jsonl", `{"instruction": "a", "output": 5}`)
	l := smallLesson(t, lesson{"model": dir, "data.train": bad, "data.eval": held})
	for _, command := range []string{"plan", "train"} {
		wantCode(t, exitData, []string{bad + ":2: ", bad + ":3: ", held + ":1: "}, l.args(command)...)
	}
	good := smallLesson(t, lesson{"model": dir})
	wantCode(t, exitFailed, []string{"model.safetensors"}, good.args("plan")...)
}

// What its author calls unusable is refused with its lines, the rest is read; no weights are needed for that.
func TestBadFilesByCommand(t *testing.T) {
	var cases []struct {
		File   string
		Lines  []int
		Effect string
	}
	readJSON(t, reftest.Path(t, "data", "bad", "cases.json"), &cases)
	only := map[string][]int{ // see data/source's test for the reasons
		"null-text.jsonl": {4}, "sharegpt-roles.jsonl": {5}, "ends-with-user.jsonl": {3},
		"huge-line.jsonl": {2}, // over data.max_length
	}
	dir := smallModel(t, model.NewOptions{})
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		path := reftest.Path(t, "data", "bad", c.File)
		lines := only[c.File]
		if lines == nil && c.Effect == "unusable" {
			lines = c.Lines
		}
		args := lesson{"model": dir, "data.train": path, "run_dir": filepath.Join(t.TempDir(), "run")}.args("plan")
		if lines == nil && c.Effect != "unusable" { // all that is missing are the weights
			wantCode(t, exitFailed, []string{"model.safetensors"}, args...)
			continue
		}
		words := []string{path}
		for _, n := range lines {
			words = append(words, fmt.Sprintf("%s:%d: ", path, n))
		}
		wantCode(t, exitData, words, args...)
	}
}

func TestInitWritesWhatPlanReads(t *testing.T) {
	dir := smallModel(t, model.NewOptions{})
	rows, held := writeFile(t, "rows.jsonl", sums(0, 8)...), writeFile(t, "held.jsonl", sums(8, 4)...)
	file := filepath.Join(t.TempDir(), "run.yaml")
	args := []string{"init", file, "--model", dir, "--train", rows, "--eval", held, "--run-dir", filepath.Join(t.TempDir(), "run")}
	wantCode(t, exitOK, nil, args...)
	o := wantCode(t, exitOK, nil, "plan", "-c", file)
	for _, w := range []string{rows, held, "8 rows", "4 rows", "expected at the peak", "tokens of the first step"} {
		if !strings.Contains(o.stdout, w) {
			t.Errorf("%q is not in\n%s", w, o.stdout)
		}
	}
	wantCode(t, exitUsage, []string{"is there already", "--force"}, args...)
	wantCode(t, exitOK, nil, append(args, "--force")...)

	// what is shown is a run file that means the same
	shown := wantCode(t, exitOK, nil, "config", "show", "-c", file, "--set", "train.seed=7").stdout
	again := writeFile(t, "shown.yaml", shown)
	if second := wantCode(t, exitOK, nil, "config", "show", "-c", again).stdout; second != shown {
		t.Errorf("shown\n%s\nand read again\n%s", shown, second)
	}
	var m struct{ Train struct{ Seed int } }
	if err := json.Unmarshal([]byte(wantCode(t, exitOK, nil, "config", "show", "--json", "-c", again).stdout), &m); err != nil || m.Train.Seed != 7 {
		t.Errorf("seed %d (%v), want 7", m.Train.Seed, err)
	}
}

func TestInformation(t *testing.T) {
	var v buildInfo
	if err := json.Unmarshal([]byte(wantCode(t, exitOK, nil, "version", "--json").stdout), &v); err != nil || v.Go == "" || v.Platform == "" {
		t.Errorf("version: %+v (%v)", v, err)
	}
	if s := wantCode(t, exitOK, nil, "version").stdout; !strings.HasPrefix(s, "attune "+v.Version) || !strings.Contains(s, v.Go) {
		t.Errorf("version: %q", s)
	}
	var d diagnosis
	if err := json.Unmarshal([]byte(wantCode(t, exitOK, nil, "doctor", "--json").stdout), &d); err != nil || d.Cores < 1 || !strings.HasPrefix(d.Device, "cpu ") ||
		d.Dtype != "float32" && d.Dtype != "bfloat16" {
		t.Errorf("doctor: %+v (%v)", d, err)
	}
	if s := wantCode(t, exitOK, nil, "doctor").stdout; !strings.Contains(s, d.Device) || !strings.Contains(s, d.Dtype) {
		t.Errorf("doctor: %q", s)
	}
	var schema struct {
		Properties map[string]any `json:"properties"`
		Extra      any            `json:"additionalProperties"`
	}
	if err := json.Unmarshal([]byte(wantCode(t, exitOK, nil, "config", "schema").stdout), &schema); err != nil || schema.Properties["lora"] == nil || schema.Extra != false {
		t.Errorf("schema: %+v (%v)", schema, err)
	}
}

func TestNewModel(t *testing.T) {
	for _, kind := range []string{"llama", "mistral", "qwen2", "qwen3"} {
		dir := filepath.Join(t.TempDir(), kind)
		o := wantCode(t, exitOK, nil, "new-model", dir, "--model-type", kind, "--hidden-size", "32", "--num-hidden-layers", "1", "--dtype", "bfloat16", "--seed", "5")
		if !strings.Contains(o.stdout, kind) || !strings.Contains(o.stdout, "hidden 32") {
			t.Errorf("%q", o.stdout)
		}
		wantCode(t, exitOK, nil, "generate", "--model", dir, "--prompt", "Hello", "--max-new-tokens", "2", "--greedy")
	}
	wantCode(t, exitUsage, []string{"float32, bfloat16, float16"}, "new-model", filepath.Join(t.TempDir(), "x"), "--dtype", "int8")
	wantCode(t, exitUsage, []string{"gpt2", "llama"}, "new-model", filepath.Join(t.TempDir(), "x"), "--model-type", "gpt2")
}
