package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/reftest"
	"attune/internal/safetensors"
)

// attune runs a command line in this process and gives what it printed.
func attune(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	o := invoke(t.Context(), "", args...)
	if o.code != 0 {
		t.Logf("attune %s\n%s", strings.Join(args, " "), o.stderr)
	}
	return o.stdout, o.code
}

type recipe struct {
	Steps       int     `json:"steps"`
	Examples    int     `json:"examples_per_step"`
	LR          float64 `json:"learning_rate"`
	Schedule    string  `json:"schedule"`
	Warmup      int     `json:"warmup_steps"`
	Decay       float64 `json:"weight_decay"`
	MaxGradNorm float64 `json:"max_grad_norm"`
	MaxLength   int     `json:"max_length"`
	Template    string  `json:"template"`
	LoRA        *struct {
		R      int     `json:"r"`
		Alpha  float64 `json:"lora_alpha"`
		RSLoRA bool    `json:"use_rslora"`
		Target any     `json:"target_modules"`
	} `json:"lora"`
}

type expectation struct {
	Steps []struct {
		Loss     float64 `json:"loss"`
		GradNorm float64 `json:"grad_norm"`
		LR       float64 `json:"lr"`
		Trained  int     `json:"trained_tokens"`
	} `json:"steps"`
	Before float64 `json:"eval_loss_before"`
	After  float64 `json:"eval_loss_after"`
	Greedy []struct {
		Prompt    string    `json:"prompt"`
		PromptIDs []int32   `json:"prompt_ids"`
		NewIDs    []int32   `json:"new_ids"`
		Margin    []float64 `json:"top2_margin"`
	} `json:"greedy"`
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// metricLine is a line of metrics.jsonl, of a step or an evaluation.
type metricLine struct {
	Step     int      `json:"step"`
	Loss     *float64 `json:"loss"`
	GradNorm float64  `json:"grad_norm"`
	LR       float64  `json:"learning_rate"`
	Trained  int      `json:"trained_tokens"`
	Eval     *float64 `json:"eval_loss"`
}

func readMetrics(t *testing.T, dir string) (steps []metricLine, evals map[int]float64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, metricsName))
	if err != nil {
		t.Fatal(err)
	}
	evals = map[int]float64{}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var m metricLine
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if m.Loss != nil {
			steps = append(steps, m)
		}
		if m.Eval != nil {
			evals[m.Step] = *m.Eval
		}
	}
	return steps, evals
}

// testDevice is what reference cases are computed on: that of ATTUNE_TEST_DEVICE, or what auto takes.
func testDevice() string { return cmp.Or(os.Getenv("ATTUNE_TEST_DEVICE"), "auto") }

// goldenRun trains a reference case by the program's own command and gives its run directory.
func goldenRun(t *testing.T, name string, extra ...string) string {
	t.Helper()
	dir := reftest.Path(t, "goldens", name)
	var r recipe
	readJSON(t, filepath.Join(dir, "recipe.json"), &r)
	runDir := filepath.Join(t.TempDir(), "run")
	args := []string{"train"}
	set := func(key string, v any) { args = append(args, "--set", fmt.Sprintf("%s=%v", key, v)) }
	set("model", filepath.Join(dir, "model"))
	set("data.train", filepath.Join(dir, "train.jsonl"))
	set("data.eval", filepath.Join(dir, "eval.jsonl"))
	set("data.max_length", r.MaxLength)
	set("data.overlength", "truncate")
	set("data.max_cut_share", 1)
	set("data.shuffle", false)
	set("train.steps", r.Steps)
	set("train.examples_per_step", r.Examples)
	set("train.learning_rate", r.LR)
	set("train.lr_scheduler", r.Schedule)
	set("train.warmup_steps", r.Warmup)
	set("train.weight_decay", r.Decay)
	set("train.max_grad_norm", r.MaxGradNorm)
	set("compute.dtype", "float32")
	set("compute.device", testDevice())
	set("eval.every", 0)
	set("run_dir", runDir)
	if r.LoRA == nil {
		set("method", "full")
	} else {
		target, err := json.Marshal(r.LoRA.Target)
		if err != nil {
			t.Fatal(err)
		}
		set("lora.r", r.LoRA.R)
		set("lora.alpha", r.LoRA.Alpha)
		set("lora.use_rslora", r.LoRA.RSLoRA)
		set("lora.target_modules", string(target))
		set("lora.init_from", filepath.Join(dir, "adapter_init"))
	}
	for _, e := range extra {
		args = append(args, "--set", e)
	}
	if _, code := attune(t, args...); code != 0 {
		t.Fatalf("train: exit code %d", code)
	}
	return runDir
}

var goldenCases = []string{"llama-chatml-lora", "qwen2-chatml-multiturn", "qwen3-chatml-system", "llama-zephyr-full"}

// lossTolerance is how far a loss may be off, relative to it: a GPU adds in another order.
func lossTolerance() float64 {
	if testDevice() == "cuda" {
		return 1e-3
	}
	return 1e-4
}

// PyTorch + transformers + PEFT gave these numbers in float32.
func TestGoldens(t *testing.T) {
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			var want expectation
			readJSON(t, filepath.Join(reftest.Path(t, "goldens", name), "expected.json"), &want)
			dir := goldenRun(t, name)
			compareSteps(t, dir, want, lossTolerance(), 1e-3)
			compareBase(t, name, want)
			compareWeights(t, name, dir)
			compareGreedy(t, name, dir, want)
		})
	}
}

// In bfloat16 the curve of the loss is float32's within 1 %.
func TestGoldensBFloat16(t *testing.T) {
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			var want expectation
			readJSON(t, filepath.Join(reftest.Path(t, "goldens", name), "expected.json"), &want)
			compareSteps(t, goldenRun(t, name, "compute.dtype=bfloat16"), want, 1e-2, 5e-2)
		})
	}
}

func relative(got, want float64) float64 { return math.Abs(got-want) / math.Abs(want) }

func compareSteps(t *testing.T, dir string, want expectation, lossTol, normTol float64) {
	t.Helper()
	steps, evals := readMetrics(t, dir)
	if len(steps) != len(want.Steps) {
		t.Fatalf("%d steps, want %d", len(steps), len(want.Steps))
	}
	var worstLoss, worstNorm float64
	for i, s := range steps {
		w := want.Steps[i]
		worstLoss, worstNorm = max(worstLoss, relative(*s.Loss, w.Loss)), max(worstNorm, relative(s.GradNorm, w.GradNorm))
		if relative(*s.Loss, w.Loss) > lossTol || relative(s.GradNorm, w.GradNorm) > normTol {
			t.Errorf("step %d: loss %.7f, want %.7f; norm %.6f, want %.6f", s.Step, *s.Loss, w.Loss, s.GradNorm, w.GradNorm)
		}
		if relative(s.LR, w.LR) > 1e-12 && s.LR != w.LR || s.Trained != w.Trained {
			t.Errorf("step %d: rate %g, want %g; %d trained tokens, want %d", s.Step, s.LR, w.LR, s.Trained, w.Trained)
		}
	}
	after := evals[len(want.Steps)]
	if relative(after, want.After) > lossTol {
		t.Errorf("eval loss after %.6f, want %.6f", after, want.After)
	}
	t.Logf("worst relative difference: loss %.1e, norm %.1e, eval loss after %.1e", worstLoss, worstNorm, relative(after, want.After))
}

// compareBase holds the loss of the model without its adapter, the reference's eval_loss_before.
func compareBase(t *testing.T, name string, want expectation) {
	t.Helper()
	dir := reftest.Path(t, "goldens", name)
	out, code := attune(t, "eval", "--json", "--device", testDevice(), "--dtype", "float32", "--max-length", "384", "--overlength", "truncate",
		"--model", filepath.Join(dir, "model"), "--data", filepath.Join(dir, "eval.jsonl"))
	if code != 0 {
		t.Fatalf("eval: exit code %d", code)
	}
	var v []verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if relative(v[0].Loss, want.Before) > lossTolerance() {
		t.Errorf("eval loss before %.6f, want %.6f", v[0].Loss, want.Before)
	}
}

// compareWeights holds the final tensors to PEFT's or transformers'.
func compareWeights(t *testing.T, name, dir string) {
	t.Helper()
	ours, theirs := filepath.Join(dir, adapterDir, "adapter_model.safetensors"), reftest.Path(t, "goldens", name)
	if _, err := os.Stat(ours); err == nil {
		theirs = filepath.Join(theirs, "adapter_final", "adapter_model.safetensors")
	} else {
		ours, theirs = filepath.Join(dir, modelDir, "model.safetensors"), filepath.Join(theirs, "model_final", "model.safetensors")
	}
	got, want := openTensors(t, ours), openTensors(t, theirs)
	if len(got.Tensors()) != len(want.Tensors()) {
		t.Errorf("%d tensors, want %d", len(got.Tensors()), len(want.Tensors()))
	}
	worst := 1.0
	for _, w := range want.Tensors() {
		a, b := got.Data(w.Name), want.Data(w.Name)
		if len(a) != len(b) {
			t.Errorf("%s: %d bytes, want %d", w.Name, len(a), len(b))
			continue
		}
		c := cosine(a, b)
		worst = min(worst, c)
		if c < 0.9999 {
			t.Errorf("%s: cosine %.6f", w.Name, c)
		}
	}
	t.Logf("lowest cosine of %d tensors: %.7f", len(want.Tensors()), worst)
}

func openTensors(t *testing.T, path string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, f.Close)
	return f
}

// cosine of two float32 tensors.
func cosine(a, b []byte) float64 {
	var ab, aa, bb float64
	for i := 0; i < len(a); i += 4 {
		x := float64(math.Float32frombits(binary.LittleEndian.Uint32(a[i:])))
		y := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:])))
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// compareGreedy holds generated ids to the reference up to the first step at which two tokens are nearly equal.
func compareGreedy(t *testing.T, name, dir string, want expectation) {
	t.Helper()
	prompts := filepath.Join(t.TempDir(), "prompts.jsonl")
	var lines []string
	for _, g := range want.Greedy {
		b, err := json.Marshal(map[string]string{"prompt": g.Prompt})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
	}
	if err := os.WriteFile(prompts, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"generate", "--raw", "--greedy", "--json", "--device", testDevice(), "--dtype", "float32", "--max-new-tokens", "24", "--prompts", prompts}
	if _, err := os.Stat(filepath.Join(dir, adapterDir)); err == nil {
		args = append(args, "--model", filepath.Join(reftest.Path(t, "goldens", name), "model"), "--adapter", filepath.Join(dir, adapterDir))
	} else {
		args = append(args, "--model", filepath.Join(dir, modelDir))
	}
	out, code := attune(t, args...)
	if code != 0 {
		t.Fatalf("generate: exit code %d", code)
	}
	got := strings.Split(strings.TrimSpace(out), "\n")
	if len(got) != len(want.Greedy) {
		t.Fatalf("%d answers, want %d", len(got), len(want.Greedy))
	}
	for i, g := range want.Greedy {
		var r struct {
			PromptIDs []int32 `json:"prompt_ids"`
			NewIDs    []int32 `json:"new_ids"`
		}
		if err := json.Unmarshal([]byte(got[i]), &r); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(r.PromptIDs) != fmt.Sprint(g.PromptIDs) {
			t.Errorf("prompt %d: ids %v, want %v", i, r.PromptIDs, g.PromptIDs)
		}
		for k, id := range g.NewIDs {
			if g.Margin[k] < 1e-3 {
				break
			}
			if k >= len(r.NewIDs) || r.NewIDs[k] != id {
				t.Errorf("prompt %d: ids %v, want %v", i, r.NewIDs, g.NewIDs)
				break
			}
		}
	}
}

// The step's loss does not depend on how its examples are packed, and not a bit of a run on the number of threads.
func TestGoldensWhateverThePacking(t *testing.T) {
	var want expectation
	readJSON(t, filepath.Join(reftest.Path(t, "goldens", goldenCases[0]), "expected.json"), &want)
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			one := goldenRun(t, name, "compute.micro_batch_tokens=2048", "compute.threads=1")
			two := goldenRun(t, name, "compute.micro_batch_tokens=2048", "compute.threads=2")
			small := goldenRun(t, name, "compute.micro_batch_tokens=256", "compute.threads=2")
			a, _ := readMetrics(t, one)
			b, _ := readMetrics(t, two)
			c, _ := readMetrics(t, small)
			for i := range a {
				if *a[i].Loss != *b[i].Loss || a[i].GradNorm != b[i].GradNorm {
					t.Errorf("step %d: 1 thread %v, 2 threads %v", i+1, *a[i].Loss, *b[i].Loss)
				}
				if relative(*c[i].Loss, *b[i].Loss) > 1e-6 {
					t.Errorf("step %d: rows of 256 tokens %.9f, of 2048 %.9f", i+1, *c[i].Loss, *b[i].Loss)
				}
			}
			for _, file := range []string{filepath.Join(adapterDir, "adapter_model.safetensors"), filepath.Join(modelDir, "model.safetensors")} {
				x, err := os.ReadFile(filepath.Join(one, file))
				if err != nil {
					continue // the other method's file
				}
				y, err := os.ReadFile(filepath.Join(two, file))
				if err != nil || !bytes.Equal(x, y) {
					t.Errorf("%s differs between 1 and 2 threads (%v)", file, err)
				}
			}
		})
	}
}
