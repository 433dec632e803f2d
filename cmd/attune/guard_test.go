package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/model"
)

// planted is a small model one element of whose weight is what bits say, in the file.
func planted(t *testing.T, weight string, element int, bits uint32) string {
	t.Helper()
	dir := smallModel(t, model.NewOptions{})
	path := filepath.Join(dir, "model.safetensors")
	f := openTensors(t, path)
	data := bytes.Clone(f.Data(weight))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(b[bytes.Index(b, data)+4*element:], bits)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// An infinity in the model's file is named where it is, before the first step and at it, in every dtype.
func TestBrokenModelIsNamed(t *testing.T) {
	const weight = "model.layers.1.mlp.up_proj.weight"
	dir := planted(t, weight, 77, 0x7f800000)
	for _, dtype := range []string{"float32", "bfloat16"} {
		for _, method := range []string{"lora", "full"} {
			l := smallLesson(t, lesson{"model": dir, "compute.dtype": dtype, "method": method})
			named := "not a finite number; first linear " + weight + " (layer 1): " + weight + " itself is +Inf at element 77 (1 such in all)"
			wantCode(t, exitFailed, []string{"evaluate after step 0: the loss is NaN: " + named}, l.args("train")...)
			delete(l, "data.eval")
			wantCode(t, exitFailed, []string{"step 1: the loss is NaN: " + named + "; take the model's files anew, or lower train.learning_rate and go on from an earlier checkpoint"}, l.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")}).args("train")...)
		}
	}
}

// odd is a lesson whose steps 17 and 20 have rows of what is not taught.
func odd(t *testing.T, extra lesson) lesson {
	t.Helper()
	rows := sums(0, 96)
	for i := range rows {
		if step := i/4 + 1; step == 17 || step == 20 {
			rows[i] = fmt.Sprintf(`{"instruction": "Q%d?", "output": "%s"}`, i, strings.Repeat("zqxjkv", 4+i%4))
		}
	}
	return smallLesson(t, lesson{"data.train": writeFile(t, "odd.jsonl", rows...), "data.shuffle": false, "method": "full", "train.learning_rate": 0.005,
		"guard.zscore": 3, "guard.window": 8, "checkpoint.every": 6, "checkpoint.keep": 1}.with(extra))
}

// skipped is what metrics.jsonl says of each step that was left out.
func skipped(t *testing.T, runDir string) map[int]string {
	t.Helper()
	out := map[int]string{}
	next := 1
	for _, line := range records(t, runDir) {
		var l struct {
			Step    int     `json:"step"`
			Eval    float64 `json:"eval_loss"`
			Skipped string  `json:"skipped"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Skipped != "" {
			out[l.Step] = l.Skipped
		}
		if l.Eval > 0 {
			continue
		}
		if l.Step != next {
			t.Errorf("step %d where step %d is to be", l.Step, next)
		}
		next++
	}
	return out
}

// A spike at a known step is what the run file says: the run ends and can be gone on with by another policy, or steps are left
// out, which is said in the log, in metrics.jsonl and at the end.
func TestSpikePolicies(t *testing.T) {
	stop := odd(t, lesson{"guard.spike": "stop"})
	wantCode(t, exitFailed, []string{"step 17: spike: gradient norm 3.9 is ", "standard deviations above the last 8; look at the rows of the step (", "/odd.jsonl:65-68), lower train.learning_rate", "guard.spike: skip"}, stop.args("train")...)
	skip := stop.with(lesson{"guard.spike": "skip"})
	wantCode(t, exitUsage, []string{"recipe"}, skip.args("train", "--resume")...)
	skip.train(t, "--resume", "--allow-change", "recipe")

	off := odd(t, nil)
	off.train(t)
	for policy, c := range map[string]struct {
		out  []int
		says string
	}{
		"skip":     {[]int{17, 20}, "left out: 2; times that it went back to a checkpoint: 0"},
		"rollback": {[]int{13, 14, 15, 16, 17, 19, 20}, "left out: 7; times that it went back to a checkpoint: 2"},
	} {
		l := odd(t, lesson{"guard.spike": policy})
		o := l.train(t)
		if policy == "skip" {
			sameRun(t, l.runDir(), skip.runDir())
		}
		if !strings.Contains(o.stdout, c.says) {
			t.Errorf("%s: %s", policy, o.stdout)
		}
		out := skipped(t, l.runDir())
		if len(out) != len(c.out) {
			t.Errorf("%s: %v are left out, want %v", policy, out, c.out)
		}
		for _, step := range c.out {
			if !strings.Contains(out[step], "spike: gradient norm ") || strings.Contains(out[step], "back to step 1") != (policy == "rollback") {
				t.Errorf("%s: step %d: %q", policy, step, out[step])
			}
		}
		log, err := os.ReadFile(filepath.Join(l.runDir(), logName))
		if err != nil || !strings.Contains(o.stderr, "/odd.jsonl:65-68") || strings.Count(string(log), "\"level\":\"warn\"") != 2 {
			t.Errorf("%s: %v\n%s", policy, err, log)
		}
		if bytes.Equal(product(t, l.runDir()), product(t, off.runDir())) {
			t.Errorf("%s: the weights are those of a run without a guard", policy)
		}
	}
}

// Steps that are left out are left out all the same where a run is stopped before, at or after them, or in all three places.
func TestLeftOutAndResumed(t *testing.T) {
	for _, extra := range []lesson{
		{"guard.spike": "skip", "eval.every": 4},
		{"guard.spike": "rollback", "eval.every": 4, "eval.load_best_model_at_end": true, "compute.dtype": "bfloat16"},
		{"guard.spike": "rollback", "method": "lora", "train.learning_rate": 0.02},
	} {
		whole := odd(t, extra)
		whole.train(t)
		if len(skipped(t, whole.runDir())) == 0 {
			t.Fatalf("%v: nothing is left out", extra)
		}
		parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
		flags := []string{}
		for _, until := range []int{3, 15, 16, 17, 18, 20} {
			parted.train(t, append(flags, "--until-step", fmt.Sprint(until))...)
			flags = []string{"--resume"}
		}
		parted.train(t, flags...)
		sameRun(t, whole.runDir(), parted.runDir())
	}
}

// A guard that finds nothing changes no bit of a run that PyTorch's is known of.
func TestGoldensGuarded(t *testing.T) {
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			sameRun(t, goldenRun(t, name), goldenRun(t, name, "guard.nonfinite=skip", "guard.spike=skip", "guard.window=8"))
		})
	}
}
