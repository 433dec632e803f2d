package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/engine/peft"
	"attune/internal/disk"
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
	l := smallLesson(t, lesson{"train.steps": 2, "eval.every": 1, "eval.load_best_model_at_end": true, "eval.early_stopping_threshold": 100, "eval.early_stopping_patience": 1})
	o := l.train(t)
	if !strings.Contains(o.stdout, "stopped early") {
		t.Errorf("nothing says why it took one step of two:\n%s", o.stdout)
	}
	if !strings.Contains(o.stdout, noneBetter) || !strings.Contains(o.stderr, noneBetter) {
		t.Errorf("nobody is warned:\n%s%s", o.stdout, o.stderr)
	}
	var sum summary
	if err := json.Unmarshal([]byte(l.train(t, "--resume", "--json").stdout), &sum); err != nil || !sum.NoneBetter || sum.LoadedBest {
		t.Errorf("%+v, %v", sum, err)
	}
}

// A model that was trained with another template than its own has that one from then on, and is refused with any other.
func TestTheTemplateGoesWithTheModel(t *testing.T) {
	other := writeFile(t, "other.jinja", `{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant: {% endif %}`)
	l := smallLesson(t, lesson{"method": "full", "train.steps": 2, "train.learning_rate": 0.002, "template": other})
	l.train(t)
	base, dir := l["model"].(string), filepath.Join(l.runDir(), modelDir)
	prompt := func(args ...string) []int32 {
		return answers(t, "", append(args, "--prompt", "one", "--max-new-tokens", "1")...)[0].PromptIDs
	}
	if got, want := prompt("--model", dir), prompt("--model", base, "--template", other); !slices.Equal(got, want) || slices.Equal(got, prompt("--model", base)) {
		t.Errorf("the published model is asked by %v, it was trained with %v", got, want)
	}

	asked := [][]string{{"generate", "--model", dir, "--prompt", "x", "--max-new-tokens", "1"}, {"chat", "--model", dir}, {"eval", "--model", dir, "--data", l["data.eval"].(string)}}
	next := l.with(lesson{"model": dir, "method": "lora", "train.steps": 1, "run_dir": filepath.Join(t.TempDir(), "next")})
	refused := func(args []string, train lesson) {
		t.Helper()
		for _, a := range asked {
			a = append(slices.Clone(a), args...)
			wantCode(t, exitUsage, []string{"model " + dir + " was trained with another chat template", "--allow-template-change"}, a...)
			wantCode(t, exitOK, []string{"warning: model " + dir}, append(a, "--allow-template-change")...)
		}
		wantCode(t, exitUsage, []string{"model " + dir + " was trained with another chat template", "lora.allow_template_change: true"}, next.with(train).args("plan")...)
		wantCode(t, exitOK, []string{"warning: model " + dir}, next.with(train).with(lesson{"lora.allow_template_change": true}).args("plan", "--time=false")...)
	}
	refused([]string{"--template", "chatml"}, lesson{"template": "chatml"})

	// an adapter on it was trained later: its word counts
	next.with(lesson{"template": "chatml", "lora.allow_template_change": true}).train(t)
	wantCode(t, exitOK, nil, append(asked[0], "--adapter", filepath.Join(next.runDir(), adapterDir), "--template", "chatml")...)

	if err := os.WriteFile(filepath.Join(dir, templateName), []byte(model.ChatML), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(nil, lesson{"template": "auto"})
}

// A model keeps its own template without a second copy; plain text teaches none.
func TestTheTemplateIsTheModels(t *testing.T) {
	l := smallLesson(t, lesson{"method": "full", "train.steps": 1, "train.learning_rate": 0.002})
	l.train(t)
	if _, err := os.Stat(filepath.Join(l.runDir(), modelDir, templateName)); !os.IsNotExist(err) {
		t.Errorf("there is a %s besides tokenizer_config.json's (%v)", templateName, err)
	}
	text := writeFile(t, "text.jsonl", `{"text": "one and two"}`, `{"text": "three and four"}`)
	plain := l.with(lesson{"data.train": text, "data.eval": text, "run_dir": filepath.Join(t.TempDir(), "plain")})
	plain.train(t)
	wantCode(t, exitOK, nil, "generate", "--model", filepath.Join(plain.runDir(), modelDir), "--template", "chatml", "--prompt", "x", "--max-new-tokens", "1")
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
		name := filepath.Join(dir, fmt.Sprintf("model-%d.safetensors", i))
		if err := disk.Create(disk.OS(), name, func(w io.Writer) error { return safetensors.Encode(w, ts, nil) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeJSONFile(filepath.Join(dir, safetensors.IndexName), map[string]any{"weight_map": index}); err != nil {
		t.Fatal(err)
	}
	return dir
}
