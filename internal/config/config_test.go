package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// runDir makes a directory in which a run file with model: m, train rows.jsonl is valid.
func runDir(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "m"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{"rows.jsonl": "{}\n", name: text} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, name)
}

const small = "model: m\ndata: {train: [{path: rows.jsonl}]}\nrun_dir: out\n"

func TestPathsAreRelativeToTheFile(t *testing.T) {
	path := runDir(t, "run.yaml", small)
	c, err := Load(path, []string{"train.learning_rate=1e-3", "lora.target_modules=[q_proj, v_proj]", "compute.micro_batch_tokens=512"})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	if c.Model != filepath.Join(dir, "m") || c.Data.Train[0].Path != filepath.Join(dir, "rows.jsonl") || c.RunDir != filepath.Join(dir, "out") {
		t.Errorf("paths: %q %q %q", c.Model, c.Data.Train[0].Path, c.RunDir)
	}
	if c.Train.LearningRate != 1e-3 || !reflect.DeepEqual(c.LoRA.TargetModules, []string{"q_proj", "v_proj"}) || c.Compute.MicroBatchTokens != 512 {
		t.Errorf("overrides were not taken: %+v", c)
	}
	if s := c.Data.Train[0]; s.Weight != 1 || s.Repeat != 1 || s.Format != "auto" {
		t.Errorf("source defaults: %+v", s)
	}
}

func TestTOMLAndJSON(t *testing.T) {
	for name, text := range map[string]string{
		"run.toml": "model = \"m\"\nrun_dir = \"out\"\n[data]\ntrain = [{path = \"rows.jsonl\"}]\n[train]\nsteps = 7\n",
		"run.json": `{"model":"m","run_dir":"out","data":{"train":[{"path":"rows.jsonl"}]},"train":{"steps":7}}`,
	} {
		c, err := Load(runDir(t, name, text), nil)
		if err != nil || c.Train.Steps != 7 || len(c.Data.Train) != 1 {
			t.Errorf("%s: %v, %+v", name, err, c.Train)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("ATTUNE_TRAIN_LEARNING_RATE", "0.5")
	t.Setenv("ATTUNE_LORA_USE_RSLORA", "true")
	c, err := Load(runDir(t, "run.yaml", small+"train: {learning_rate: 0.1}\n"), nil)
	if err != nil || c.Train.LearningRate != 0.5 || !c.LoRA.UseRSLoRA {
		t.Errorf("%v, %+v", err, c.Train)
	}
	c, err = Load(runDir(t, "run.yaml", small), []string{"train.learning_rate=0.25"})
	if err != nil || c.Train.LearningRate != 0.25 {
		t.Errorf("--set must stand over the environment: %v, %g", err, c.Train.LearningRate)
	}
}

// Every complaint comes in one go, with its line and the nearest key.
func TestAllComplaintsAtOnce(t *testing.T) {
	path := runDir(t, "run.yaml", "model: m\ndata:\n  train: [{path: rows.jsonl, wieght: 2}]\nrun_dir: out\ntrain:\n  learnin_rate: 1\n  epochs: many\n  r: 8\nmethod: qlora\nlora: 3\n")
	_, err := Load(path, []string{"train.adam.beta3=1", "nonsense"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		":3: data.train[0].wieght is not a key of the run file; did you mean data.train[0].weight?",
		":6: train.learnin_rate is not a key of the run file; did you mean train.learning_rate?",
		`:7: train.epochs is the text "many"; it must be a number`,
		":8: train.r is not a key of the run file; did you mean lora.r?",
		`:9: method is "qlora"; it must be one of lora, full`,
		":10: lora is 3; it must be a section of keys",
		"--set train.adam.beta3 is not a key of the run file; did you mean train.adam.beta1?",
		`--set "nonsense": write key=value`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
}

// Keys with nothing behind them are not passed over.
func TestEmptyKeys(t *testing.T) {
	path := runDir(t, "run.yaml", "model: m\ndata: {train: rows.jsonl}\nrun_dir: out\ntrain:\n  lerning_rate:\n  seed:\nlora_config: {}\neval:\n1: {}\ntrain.epochs: 2\n")
	_, err := Load(path, nil)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v", err)
	}
	want := []string{
		":5: train.lerning_rate is not a key of the run file; did you mean train.learning_rate?",
		":6: train.seed is empty; remove it or give it a value",
		":7: lora_config is not a key of the run file; known here: model,",
		":8: eval is empty; remove it or give it a value",
		":9: 1 is not a key of the run file",
		":10: train.epochs is not a key of the run file; did you mean train: {epochs: ...}?",
	}
	for i, w := range want {
		if i >= len(e.Problems) || !strings.HasPrefix(e.Problems[i], path+w) {
			t.Errorf("complaint %d is not %q of\n%v", i, w, err)
		}
	}
	if len(e.Problems) != len(want) {
		t.Errorf("%d complaints, want %d", len(e.Problems), len(want))
	}
}

// Keys that would be read and do nothing are refused by their names.
func TestKeysWithoutEffect(t *testing.T) {
	held := "model: m\ndata: {train: rows.jsonl, eval: rows.jsonl}\nrun_dir: out\n"
	for _, tt := range []struct{ text, says string }{
		{held + "eval: {every: 0, early_stopping_patience: 2}\n", "eval.early_stopping_patience is 2, but eval.every is 0"},
		{held + "eval: {every: 10, early_stopping_patience: 1}\ntrain: {steps: 10}\n", ""}, // a trial of few steps on the file of a long run
		{held + "eval: {every: 0, load_best_model_at_end: true}\n", ""},
		{small + "guard: {nonfinite: rollback}\ncheckpoint: {every: 0}\n", "guard.nonfinite is rollback, but checkpoint.every is 0, and there is nothing to go back to; set checkpoint.every over 0, or guard.nonfinite: skip"},
		{small + "guard: {spike: rollback}\ncheckpoint: {every: 0}\n", "guard.spike is rollback, but checkpoint.every is 0"},
		{small + "guard: {spike: rollback, nonfinite: skip}\ncheckpoint: {every: 1}\n", ""},
		{small + "guard: {spike: skip}\ncheckpoint: {every: 0}\n", ""},
		{small + "method: full\nlora: {init_from: m}\n", "lora.init_from is m, but method full trains no adapter; remove it, or set method: lora"},
		{small + "method: full\nlora: {r: 8}\n", "lora.r is 8, but method full"},
		{small + "method: full\nlora: {target_modules: [q_proj, v_proj]}\n", "lora.target_modules is [q_proj, v_proj], but method full"},
		{small + "method: full\nlora: {use_rslora: true}\n", "lora.use_rslora is true, but method full"},
		{small + "method: full\nlora: {r: 16, alpha: 32, target_modules: all-linear}\n", ""}, // what run.yaml of such a run says
	} {
		path := runDir(t, "run.yaml", tt.text)
		_, err := Load(path, nil)
		if tt.says == "" && err != nil {
			t.Errorf("%s\n%v", tt.text, err)
		} else if tt.says != "" && (err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""), tt.says)) {
			t.Errorf("%s\ngot %v, want %q", tt.text, err, tt.says)
		}
	}
}

// Values are checked although keys are wrong, and what has its complaint gets no second.
func TestComplaintsOfBothKinds(t *testing.T) {
	path := runDir(t, "run.yaml", "model: m\nmetod: full\nrun_dri: out\ndata: {train: [{path: rows.jsonl, repeat: many, weight: -1}], eval: [7]}\n"+
		"train: {steps: -1, epochs: x, adam: 3}\nlora: {r: 0}\n")
	_, err := Load(path, []string{"train.seed=-1"})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v", err)
	}
	want := []string{"metod is not a key", "run_dri is not a key", "data.train[0].repeat is the text", "data.eval[0] is 7", "train.epochs is the text", "train.adam is 3",
		"data.train[0].weight is -1", "lora.r is 0", "train.steps is -1", "train.seed is -1"}
	for _, w := range want {
		if strings.Count(err.Error(), w) != 1 {
			t.Errorf("%q is not once in\n%v", w, err)
		}
	}
	if len(e.Problems) != len(want) {
		t.Errorf("%d complaints, want %d:\n%v", len(e.Problems), len(want), err)
	}
}

// A variable that names no key is a misspelt one, unless it is the tests' own or a GPU's.
func TestMisspeltVariables(t *testing.T) {
	t.Setenv("ATTUNE_TEST_SHARED", "somewhere")
	t.Setenv("ATTUNE_EMU_CC", "80")
	t.Setenv("ATTUNE_CUDA_LIBS", "/opt/lib")
	t.Setenv("ATTUNE_TRAIN_SEED", "5")
	path := runDir(t, "run.yaml", small)
	if c, err := Load(path, nil); err != nil || c.Train.Seed != 5 {
		t.Errorf("seed %d, %v", c.Train.Seed, err)
	}
	t.Setenv("ATTUNE_TRAIN_LERNING_RATE", "3")
	t.Setenv("ATTUNE_train_steps", "3")
	t.Setenv("ATTUNE_ZZ", "")
	t.Setenv("ATTUNE_CUDA_LIB", "/opt/lib")
	_, err := Load(path, nil)
	for _, w := range []string{"environment: ATTUNE_TRAIN_LERNING_RATE names no key of the run file; did you mean ATTUNE_TRAIN_LEARNING_RATE?",
		"environment: ATTUNE_train_steps names no key of the run file; did you mean ATTUNE_TRAIN_STEPS?", "environment: ATTUNE_ZZ names no key of the run file; unset it", "environment: ATTUNE_CUDA_LIB names no key of the run file"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in\n%v", w, err)
		}
	}
}

// What data/loader would refuse only after the rows are read is refused here.
func TestMoreThanTheLoaderTakes(t *testing.T) {
	_, err := Load(runDir(t, "run.yaml", "model: m\ndata: {train: [{path: rows.jsonl, repeat: 100000, weight: 1e5}]}\nrun_dir: out\n"), []string{"train.epochs=1e8"})
	for _, w := range []string{"train.epochs is 1e+08; it must be at least 0 and at most 1000000", "data.train[0].repeat is 100000", "data.train[0].weight is 100000"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in\n%v", w, err)
		}
	}
}

func TestValuesAreChecked(t *testing.T) {
	_, err := Load(runDir(t, "run.yaml", "model: nowhere\ndata: {train: [gone.jsonl], max_length: 2}\nlora: {r: 0, dropout: 1}\ntrain: {epochs: 0, warmup_ratio: 2}\neval: {early_stopping_patience: 2}\n"), nil)
	for _, want := range []string{"model ", "run_dir is missing", "data.train[0].path", "data.max_length is 2", "lora.r is 0", "lora.dropout is 1", "train.epochs", "train.warmup_ratio is 2", "data.eval is empty"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
}

// What the program writes, it reads back unchanged.
func TestYAMLRoundTrip(t *testing.T) {
	c, err := Load(runDir(t, "run.yaml", small), []string{"train.adam.epsilon=1e-8", "system=yes: no\n\"x\"", "compute.micro_batch_tokens=auto"})
	if err != nil {
		t.Fatal(err)
	}
	for _, comments := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "run.yaml")
		if err := os.WriteFile(path, c.YAML(comments), 0o644); err != nil {
			t.Fatal(err)
		}
		back, err := Load(path, nil)
		if err != nil || !reflect.DeepEqual(c, back) {
			t.Errorf("comments %v: %v\n%s\n%+v\n%+v", comments, err, c.YAML(comments), c, back)
		}
	}
}

// Whatever a run file says, in any of the languages, it is refused in words or gives a run.
func FuzzLoad(f *testing.F) {
	kinds := []string{"yaml", "toml", "json"}
	for _, text := range []string{small, small + "train:\nlora: {1: 2, null: 3}\n? [a]\n: 1\n", "a: &a [1]\nb: [*a, *a]\ntrain: {adam: 3, steps: 1e300}\n"} {
		f.Add([]byte(text), uint8(0))
	}
	f.Add([]byte("model = \"m\"\nrun_dir = 'out'\ntrain.steps = 0x7\n[data]\ntrain = [{path = \"rows.jsonl\"}]\n[[data.eval]]\npath = 1979-05-27\n"), uint8(1))
	f.Add([]byte(`{"model":"m","run_dir":"out","data":{"train":[{"path":"rows.jsonl"}]},"train":{"steps":7e0}}`), uint8(2))
	f.Fuzz(func(t *testing.T, text []byte, kind uint8) {
		path := filepath.Join(t.TempDir(), "run."+kinds[int(kind)%len(kinds)])
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, nil)
		if err == nil && c.Model == "" {
			t.Error("a run without a model was accepted")
		}
		if err != nil && (err.Error() == "" || len(err.Error()) > 1<<17) {
			t.Errorf("a complaint of %d bytes", len(err.Error()))
		}
	})
}

// Further variables of the template are laid over each other key by key, from a file, a variable and the command line.
func TestTemplateKwargs(t *testing.T) {
	t.Setenv("ATTUNE_TEMPLATE_KWARGS", `{"b": "of the variable", "c": [1, 2.0, null]}`)
	path := runDir(t, "run.yaml", small+"template_kwargs: {a: {x: 1}, b: of the file}\n")
	c, err := Load(path, []string{"template_kwargs.enable_thinking=false", `template_kwargs={d: "2"}`})
	want := map[string]any{"a": map[string]any{"x": int64(1)}, "b": "of the variable", "c": []any{int64(1), 2.0, nil}, "enable_thinking": false, "d": "2"}
	if err != nil || !reflect.DeepEqual(c.TemplateKwargs, want) {
		t.Errorf("%v, %v", c.TemplateKwargs, err)
	}
	path = runDir(t, "run.yaml", small+"template_kwargs:\n  day: 2024-11-21\n  list: [.nan, 18014398509481984]\n  deep: "+strings.Repeat("[", 20)+strings.Repeat("]", 20)+"\n")
	_, err = Load(path, []string{"template_kwargs=x"})
	for _, want := range []string{
		path + ":5: template_kwargs.day is 2024-11-21 00:00:00 +0000 UTC; it must be text (a date in quotes)", path + ":6: template_kwargs.list[0] is NaN; it must be", "template_kwargs.list[1] is 18014398509481984; it must be",
		"template_kwargs.deep[0]", `--set template_kwargs is the text "x"; it must be a section of keys`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}
