package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"attune/engine/checkpoint"
	"attune/internal/disk"
	"attune/internal/safetensors"
)

// A recipe is what it says, not how a version writes it: keys that it did not have yet are at their defaults.
func TestRecipesAreComparedByMeaning(t *testing.T) {
	whole := smallLesson(t, nil)
	whole.train(t)
	later := regexp.MustCompile(`(?m)^(guard:\n(  .*\n)*|  keep_every: .*\n|  grace: .*\n)`)
	for name, change := range map[string]func(recipe string) string{
		"older":           func(recipe string) string { return later.ReplaceAllString(recipe, "") },
		"other order":     func(recipe string) string { return "run_dir: x\n" + strings.Replace(recipe, "\nrun_dir: ", "\n# ", 1) },
		"only the recipe": func(recipe string) string { return recipe },
	} {
		t.Run(name, func(t *testing.T) {
			parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
			interrupt(t, parted, 10)
			rewrite(t, parted.runDir(), func(st *checkpoint.State) {
				if text := change(st.Recipe); name == "only the recipe" || text != st.Recipe {
					st.Recipe = text
				} else {
					t.Errorf("the recipe was left as it is:\n%s", text)
				}
				st.Identity["recipe"] = strings.Repeat("0", 64)
			})
			wantCode(t, exitUsage, []string{"train.learning_rate was 0.01, is 0.02"}, parted.with(lesson{"train.learning_rate": 0.02}).args("train", "--resume")...)
			wantCode(t, exitUsage, []string{`guard.spike was "off", is "skip"`}, parted.with(lesson{"guard.spike": "skip"}).args("train", "--resume")...)
			if o := parted.train(t, "--resume"); strings.Contains(o.stderr, "another recipe") {
				t.Errorf("it is the same recipe:\n%s", o.stderr)
			}
			sameRun(t, whole.runDir(), parted.runDir())
			var p provenance
			if readJSON(t, filepath.Join(parted.runDir(), runJSON), &p); len(p.Changes) > 0 {
				t.Errorf("recorded as changed: %+v", p.Changes)
			}
		})
	}
	parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
	interrupt(t, parted, 10)
	rewrite(t, parted.runDir(), func(st *checkpoint.State) {
		st.Recipe = strings.Replace(st.Recipe, "train:", "brain:", 1)
		st.Identity["recipe"] = strings.Repeat("0", 64)
	})
	wantCode(t, exitUsage, []string{"what the recipe was cannot be told", "brain"}, parted.args("train", "--resume")...)
}

// rewrite changes the state in which a run was saved last.
func rewrite(t *testing.T, runDir string, change func(*checkpoint.State)) {
	t.Helper()
	store := &checkpoint.Store{FS: disk.OS(), Root: filepath.Join(runDir, checkpointsDir), Keep: 9}
	c, _, err := store.Latest()
	if err != nil || c == nil {
		t.Fatal(err)
	}
	st := c.State
	change(&st)
	w := store.NewWriter()
	w.Write(st, nil, stored(c.Weights), stored(c.Optimizer), nil)
	if err := errors.Join(w.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
}

// stored are the tensors of a file.
func stored(f *safetensors.File) (list []safetensors.Tensor) {
	for _, t := range f.Tensors() {
		list = append(list, safetensors.Tensor{Name: t.Name, Dtype: t.Dtype, Shape: t.Shape, Data: f.Data(t.Name)})
	}
	return list
}

// How often a checkpoint is made is part of the recipe where a run may go back to one.
func TestCheckpointsOfARollbackAreTheRecipe(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 8, "guard.spike": "rollback"})
	interrupt(t, l, 5)
	wantCode(t, exitUsage, []string{"checkpoint.every was 3, is 4"}, l.with(lesson{"checkpoint.every": 4}).args("train", "--resume")...)
	l.with(lesson{"checkpoint.keep": 7, "checkpoint.keep_every": 2, "checkpoint.grace": 3, "guard.name": true}).train(t, "--resume")
}

// What --allow-change lets be another is gone on with, said and recorded; what it does not take is a wrong use.
func TestAllowChange(t *testing.T) {
	other := sums(0, 40)
	other[3] = strings.Replace(other[3], "It is", "That is", 1)
	for _, c := range []struct {
		allow  string
		change lesson
		says   []string
	}{
		{"data", lesson{"data.train": writeFile(t, "other.jsonl", other...)}, []string{"going on with another data", "from step 6 on", "stays 24"}},
		{"eval", lesson{"data.eval": writeFile(t, "held.jsonl", sums(48, 8)...)}, []string{"going on with another eval", "begin anew"}},
		{"recipe", lesson{"train.learning_rate": 0.02}, []string{"train.learning_rate was 0.01, is 0.02", "stays 24"}},
		{"recipe", lesson{"train.steps": 30}, []string{"the run had 24 steps and has 30: from step 6 on"}},
		{"recipe, data", lesson{"train.examples_per_step": 8}, []string{"train.examples_per_step was 4, is 8", "another data"}},
		{"text", lesson{"template": writeFile(t, "other.jinja", otherTemplate)}, []string{"going on with another template"}},
	} {
		t.Run(c.says[0], func(t *testing.T) {
			l := smallLesson(t, nil)
			interrupt(t, l, 5)
			now := l.with(c.change)
			for _, part := range strings.Split(c.allow, ", ") {
				wantCode(t, exitUsage, []string{"--allow-change " + part}, now.args("train", "--resume")...)
			}
			o := now.train(t, "--resume", "--allow-change", c.allow)
			for _, want := range c.says {
				if !strings.Contains(o.stderr, want) {
					t.Errorf("%q is not in\n%s", want, o.stderr)
				}
			}
			var p provenance
			readJSON(t, filepath.Join(now.runDir(), runJSON), &p)
			if len(p.Changes) != 1 || p.Changes[0].AfterStep != 5 || len(p.Changes[0].Was) < len(strings.Split(c.allow, ",")) {
				t.Fatalf("run.json says of changes: %+v", p.Changes)
			}
			if steps := p.Changes[0].Is["steps"]; c.change["train.steps"] != nil && steps != "30" {
				t.Errorf("run.json says of the steps: %+v", p.Changes[0])
			}
			if _, ok := c.change["train.learning_rate"]; ok && !slices.Equal(p.Changes[0].Keys, []string{"train.learning_rate was 0.01, is 0.02"}) {
				t.Errorf("run.json says of the recipe: %q", p.Changes[0].Keys)
			}
			last, steps := newest(t, now.runDir()), 24
			if n, ok := c.change["train.steps"]; ok {
				steps = n.(int)
			}
			if last.Step != steps {
				t.Errorf("the run ended at step %d", last.Step)
			}
			now.train(t, "--resume") // it is the run of what it has become
		})
	}
	l := smallLesson(t, nil)
	interrupt(t, l, 5)
	for what, change := range map[string]lesson{
		"lora.r decides":              {"lora.r": 8},
		"method decides":              {"method": "full"},
		"lora.target_modules decides": {"lora.target_modules": "[q_proj]"},
		"model has changed":           {"model": sameText(t, l["model"].(string))},
		"had 24 steps, of which 5 are taken, and would have 5": {"train.steps": 5},
	} {
		args := l.with(change).args("train", "--resume", "--allow-change", "data,eval,recipe,text")
		wantCode(t, exitUsage, []string{what}, args...)
	}
	wantCode(t, exitUsage, []string{"--allow-change data", "give --resume too"}, l.args("train", "--allow-change", "data")...)
	wantCode(t, exitUsage, []string{"--allow-change model", "data, eval, recipe, text"}, l.args("train", "--resume", "--allow-change", "model")...)
}

// On other held-out rows the best loss so far says nothing.
func TestOtherHeldOutRowsBeginAnew(t *testing.T) {
	l := smallLesson(t, lesson{"eval.load_best_model_at_end": true, "train.steps": 12})
	interrupt(t, l, 5)
	rewrite(t, l.runDir(), func(st *checkpoint.State) {
		low := 0.001 // which nothing is better than
		st.BestLoss, st.BestStep = &low, 5
	})
	now := l.with(lesson{"data.eval": writeFile(t, "held.jsonl", sums(48, 8)...)})
	now.train(t, "--resume", "--allow-change", "eval")
	if c := newest(t, now.runDir()); c.BestStep < 10 || *c.BestLoss < 0.01 {
		t.Errorf("best is step %d with %g", c.BestStep, *c.BestLoss)
	}
}

// A run that stopped early goes on once it would not have stopped.
func TestEarlyStopIsTakenBack(t *testing.T) {
	l := smallLesson(t, kinds()["early stopping"].lesson)
	l.train(t)
	at := newest(t, l.runDir()).Step
	if at >= 24 {
		t.Fatalf("it did not stop early: %d steps", at)
	}
	for _, c := range []struct{ patience, steps int }{{3, at}, {0, 24}} {
		l["eval.early_stopping_patience"] = c.patience
		o := l.train(t, "--resume", "--allow-change", "recipe")
		if step := newest(t, l.runDir()).Step; step != c.steps || strings.Contains(o.stderr, "had stopped early") != (step > at) {
			t.Errorf("patience %d: %d steps, want %d\n%s", c.patience, step, c.steps, o.stderr)
		}
	}
}

// Another micro-batch is allowed: it is said that the run is equal to rounding from there, and it is.
func TestAnotherMicroBatchIsEqualToRounding(t *testing.T) {
	whole := smallLesson(t, lesson{"train.steps": 12, "train.learning_rate": 0.002, "lora.dropout": 0})
	o := whole.train(t)
	parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
	interrupt(t, parted, 5)
	const said = "equal from here to rounding, not to the bit: compute.micro_batch_tokens was 128, is 512"
	now := parted.with(lesson{"compute.micro_batch_tokens": 512, "compute.threads": 1})
	if o = now.train(t, "--resume"); !strings.Contains(o.stderr, said) {
		t.Errorf("%q is not in\n%s", said, o.stderr)
	}
	want, got := losses(t, whole.runDir()), losses(t, now.runDir())
	if len(want) != 12 || len(got) != 12 {
		t.Fatalf("%d and %d steps", len(want), len(got))
	}
	for i := range want {
		if d := math.Abs(got[i] - want[i]); d > 1e-5*math.Abs(want[i]) || i < 5 && d != 0 {
			t.Errorf("step %d: loss %.9g, unbroken %.9g", i+1, got[i], want[i])
		}
	}
	same := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
	interrupt(t, same, 5)
	if o = same.train(t, "--resume"); strings.Contains(o.stderr, "rounding") {
		t.Errorf("nothing is another:\n%s", o.stderr)
	}
}

// What makes a run equal to rounding only is the device, its instruction set and the micro-batch, not version and threads.
func TestWhatMakesARunEqualToRounding(t *testing.T) {
	was := checkpoint.Made{Attune: "1", Device: "cpu", ISA: "avx2", Threads: 1, MicroBatchTokens: 64}
	for want, is := range map[string]checkpoint.Made{
		"": {Attune: "2", Device: "cpu", ISA: "avx2", Threads: 2, MicroBatchTokens: 64},
		"device was cpu, is cuda, instruction set was avx2, is sm_90": {Attune: "1", Device: "cuda", ISA: "sm_90", Threads: 1, MicroBatchTokens: 64},
		"instruction set was avx2, is portable":                       {Attune: "1", Device: "cpu", ISA: "portable", Threads: 1, MicroBatchTokens: 64},
	} {
		if got := otherwise(was, is); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := otherwise(checkpoint.Made{}, was); got != "" {
		t.Errorf("a checkpoint that does not say: %q", got)
	}
}

// losses are those of the steps.
func losses(t *testing.T, runDir string) (list []float64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(runDir, metricsName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var loss float64
		if _, rest, ok := strings.Cut(line, `"loss":`); ok {
			if _, err := fmt.Sscanf(rest, "%g", &loss); err != nil {
				t.Fatal(err)
			}
			list = append(list, loss)
		}
	}
	return list
}
