package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attune/engine/checkpoint"
	"attune/internal/disk"
)

// kinds are runs that differ in what a checkpoint has to hold, with what each says at its end.
func kinds() map[string]struct {
	lesson
	says string
} {
	return map[string]struct {
		lesson
		says string
	}{
		"lora with dropout": {lesson{}, "24 steps"},
		"lora bfloat16":     {lesson{"compute.dtype": "bfloat16", "lora.use_rslora": true, "lora.target_modules": "[q_proj, down_proj]"}, "24 steps"},
		"full":              {lesson{"method": "full", "train.learning_rate": 0.002, "train.weight_decay": 0.1}, "24 steps"},
		"full bfloat16":     {lesson{"method": "full", "compute.dtype": "bfloat16", "train.learning_rate": 0.002}, "24 steps"},
		"best state": {lesson{"train.learning_rate": 0.3, "eval.every": 2, "eval.load_best_model_at_end": true, "eval.early_stopping_threshold": 0.1},
			"published the best evaluated state"},
		"early stopping": {lesson{"eval.every": 2, "eval.early_stopping_patience": 4, "eval.early_stopping_threshold": 0.5}, "stopped early"},
	}
}

// stopper is a stderr that does something to a run as soon as it reads the evaluation after a step.
type stopper struct {
	at   map[int]func()
	seen printed
}

func stopAt(step int, do func()) *stopper { return &stopper{at: map[int]func(){step: do}} }

func (s *stopper) Write(p []byte) (int, error) {
	s.seen.Write(p)
	for step, do := range s.at {
		if strings.Contains(string(p), fmt.Sprintf("step %d  eval loss", step)) {
			do()
		}
	}
	return len(p), nil
}

// A run that is asked to stop again and again, and goes on with another number of threads, ends as if nothing had been.
func TestStoppedAndResumed(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			whole := smallLesson(t, kind.lesson)
			said := whole.train(t).stdout
			if !strings.Contains(said, kind.says) {
				t.Fatalf("%q is not in\n%s", kind.says, said)
			}
			parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run"), "checkpoint.every": 1000})
			flags := []string{}
			every := parted["eval.every"].(int)
			for i, at := range []int{0, every, 2 * every} {
				parted["compute.threads"] = 1 + i%2
				interrupt(t, parted, at, flags...)
				if c := newest(t, parted.runDir()); c.Step < at || c.Step > at+1 {
					t.Errorf("stopped at step %d, the state of step %d was saved", at, c.Step)
				}
				flags = []string{"--resume"}
			}
			resaid := parted.train(t, "--resume").stdout
			sameRun(t, whole.runDir(), parted.runDir())
			if got, want := evalLine(resaid), evalLine(said); got != want {
				t.Errorf("the summary says %q, that of the unbroken run %q", got, want)
			}
		})
	}
}

// evalLine is the line of a summary that compares the loss before and after.
func evalLine(summary string) string {
	for line := range strings.Lines(summary) {
		if strings.HasPrefix(line, "eval loss") {
			return line
		}
	}
	return ""
}

// impatient is a context that ends itself when it is asked for the nth time whether it has ended, from the moment on
// that the run has its metrics.jsonl.
type impatient struct {
	context.Context
	cancel  context.CancelFunc
	metrics string
	left    atomic.Int32
}

func (c *impatient) Err() error {
	if _, err := os.Stat(c.metrics); err == nil && c.left.Add(-1) == 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// An evaluation that is interrupted is left, and done again on resume: before the first step, between, after the last. It is so
// too if the run that did it again was killed behind it, before it saved: its line is there already then.
func TestStoppedInAnEvaluation(t *testing.T) {
	whole := smallLesson(t, lesson{"train.steps": 3, "eval.every": 1, "eval.load_best_model_at_end": true})
	whole.train(t)
	lines, err := os.ReadFile(filepath.Join(whole.runDir(), metricsName))
	if err != nil {
		t.Fatal(err)
	}
	// until is how the run ends, in a directory of its own, when it is asked to stop at the nth look at its context
	until := func(n int32) (parted lesson, o outcome, looks int32) {
		parted = whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
		inner, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := &impatient{Context: inner, cancel: cancel, metrics: filepath.Join(parted.runDir(), metricsName)}
		ctx.left.Store(n)
		o = invoke(ctx, "", parted.args("train")...)
		return parted, o, n - ctx.left.Load()
	}
	_, _, all := until(math.MaxInt32)
	due, begun, last := false, false, false
	for n := int32(2); !last && n < all; n += max(1, all/14) {
		parted, o, _ := until(n)
		if o.code == exitOK {
			break
		}
		if o.code != exitInterrupted {
			t.Fatalf("ended at look %d of %d: exit code %d\n%s", n, all, o.code, o.stderr)
		}
		c := newest(t, parted.runDir())
		begun = begun || c.Step == 0 && c.FirstLoss == nil
		due = due || c.EvalDue
		last = c.EvalDue && c.Step == 3
		if c.EvalDue || c.FirstLoss == nil { // killed when it had gone on, it has the lines of the unbroken run so far
			killed := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
			err := os.CopyFS(killed.runDir(), os.DirFS(parted.runDir()))
			if err := errors.Join(err, os.WriteFile(filepath.Join(killed.runDir(), metricsName), lines, 0o644)); err != nil {
				t.Fatal(err)
			}
			killed.train(t, "--resume")
			sameRun(t, whole.runDir(), killed.runDir())
		}
		parted.train(t, "--resume")
		sameRun(t, whole.runDir(), parted.runDir())
	}
	if !begun || !due || !last {
		t.Errorf("stopped in the first evaluation %t, in a later one %t, in the last %t", begun, due, last)
	}
}

// A run that is stopped where it has just saved does not write the same state again.
func TestSavedOnce(t *testing.T) {
	l := smallLesson(t, lesson{"eval.every": 3, "checkpoint.every": 3})
	interrupt(t, l, 3)
	if c := newest(t, l.runDir()); c.Step != 3 {
		t.Fatalf("stopped at step %d", c.Step)
	}
	b, err := os.ReadFile(filepath.Join(l.runDir(), logName))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), `"msg":"checkpoint"`); n != 1 {
		t.Errorf("the state of step 3 was saved %d times", n)
	}
}

// kill -9 at moments that nobody chose, again and again: what is left always leads to the same end.
func TestKilledAnywhere(t *testing.T) {
	t.Setenv(asProgram, "1")
	for name, extra := range map[string]lesson{
		"lora": {"eval.load_best_model_at_end": true, "checkpoint.keep": 1},
		"full": {"method": "full", "train.learning_rate": 0.002, "compute.dtype": "bfloat16"},
	} {
		t.Run(name, func(t *testing.T) {
			whole := smallLesson(t, extra.with(lesson{"train.steps": 120, "checkpoint.every": 2, "eval.every": 7}))
			whole.train(t)
			parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
			v := &verifier{s: streams{err: io.Discard}, program: os.Args[0], args: parted.args("")[1:]}
			r := rand.New(rand.NewPCG(1, uint64(len(name))))
			kills, at := 0, 0
			for range 8 {
				p := v.part("", parted.runDir(), 1+r.IntN(2))
				p.wait = time.Duration(r.IntN(20)) * time.Millisecond // what it hits does not matter
				killed, err := p.run(t.Context(), &moment{after: at + r.IntN(30)})
				if err != nil {
					t.Fatal(err)
				}
				if !killed {
					break
				}
				kills, at = kills+1, max(at, p.done+1)
			}
			parted.train(t, "--resume")
			sameRun(t, whole.runDir(), parted.runDir())
			if kills == 0 {
				t.Error("the run was never killed")
			}
		})
	}
}

// A damaged checkpoint is named and the one before it used; it does not push a whole one out.
func TestDamagedCheckpoint(t *testing.T) {
	whole := smallLesson(t, nil)
	whole.train(t)
	parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run"), "checkpoint.every": 4, "checkpoint.keep": 2})
	interrupt(t, parted, 10)
	c := newest(t, parted.runDir())
	damage(t, filepath.Join(c.Dir, "optimizer.safetensors"))
	o := parted.train(t, "--resume")
	if !strings.Contains(o.stderr, c.Dir) || !strings.Contains(o.stderr, "SHA-256") {
		t.Errorf("the damaged checkpoint is not named:\n%s", o.stderr)
	}
	sameRun(t, whole.runDir(), parted.runDir())
}

// Without any checkpoint the run starts anew, and what metrics.jsonl held of the lost steps goes.
func TestResumeWithoutCheckpoint(t *testing.T) {
	whole := smallLesson(t, nil)
	whole.train(t)
	parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
	interrupt(t, parted, 5)
	if err := os.RemoveAll(filepath.Join(parted.runDir(), checkpointsDir)); err != nil {
		t.Fatal(err)
	}
	parted.train(t, "--resume")
	sameRun(t, whole.runDir(), parted.runDir())
}

// Lines of metrics.jsonl that somebody took away or a disk broke are missed, and the run goes on without them.
func TestMetricsThatWereLost(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 8})
	interrupt(t, l, 5)
	path := filepath.Join(l.runDir(), metricsName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	third := bytes.Index(whole, []byte(`{"step":3,`))
	for name, c := range map[string]struct {
		left []byte
		says string // "" = nothing
	}{
		"none":   {nil, "no lines of 5 of the 5 steps"},
		"broken": {slices.Concat(whole[:third], []byte{'x'}, whole[third+1:]), "no lines of 3 of the 5 steps"},
		"whole":  {whole, ""},
	} {
		if err := os.WriteFile(path, c.left, 0o644); err != nil {
			t.Fatal(err)
		}
		o := l.train(t, "--resume", "--until-step", "5")
		if !strings.Contains(o.stderr, c.says) || c.says == "" && strings.Contains(o.stderr, metricsName) {
			t.Errorf("%s: it says\n%s", name, o.stderr)
		}
	}
}

// Where every checkpoint is damaged, the run does not start over: it would write over what may be mended.
func TestAllCheckpointsDamaged(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 8, "checkpoint.keep": 2})
	interrupt(t, l, 5)
	c := newest(t, l.runDir())
	entries, err := os.ReadDir(filepath.Dir(c.Dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		damage(t, filepath.Join(filepath.Dir(c.Dir), e.Name(), "weights.safetensors"))
	}
	before := records(t, l.runDir())
	wantCode(t, exitFailed, []string{c.Dir, "start over"}, l.args("train", "--resume")...)
	if after := records(t, l.runDir()); len(after) != len(before) {
		t.Errorf("%d records of metrics.jsonl are left of %d", len(after), len(before))
	}
	b, err := os.ReadFile(filepath.Join(l.runDir(), logName))
	if err != nil || !strings.Contains(string(b), `"msg":"failed"`) || !strings.Contains(string(b), "start over") {
		t.Errorf("the log does not say why (%v):\n%s", err, b)
	}
}

// newest is the state that a resumed run would go on from.
func newest(t *testing.T, runDir string) *checkpoint.Checkpoint {
	t.Helper()
	c, skipped, err := (&checkpoint.Store{FS: disk.OS(), Root: filepath.Join(runDir, checkpointsDir)}).Latest()
	if err != nil || c == nil || len(skipped) > 0 {
		t.Fatalf("no whole checkpoint in %s: %v %v", runDir, err, skipped)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

// interrupt runs the lesson until the evaluation after a step and asks it to stop.
func interrupt(t *testing.T, l lesson, step int, flags ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := stopAt(step, cancel)
	if code := run(ctx, l.args("train", flags...), streams{in: strings.NewReader(""), out: io.Discard, err: stop, fs: disk.In}); code != exitInterrupted {
		t.Fatalf("stopped at step %d: exit code %d\n%s", step, code, stop.seen.String())
	}
}

// damage flips one bit in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 4
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// What makes another run of it is refused by name; what does not, is not.
func TestResumeRefusesAnotherRun(t *testing.T) {
	base := smallLesson(t, nil)
	interrupt(t, base, 5)
	other := smallLesson(t, nil)
	template := writeFile(t, "other.jinja", `{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}`)
	rows := sums(0, 40)
	rows[3] = strings.Replace(rows[3], "It is", "That is", 1)
	for _, c := range []struct {
		what   string
		change lesson
	}{
		{"data", lesson{"data.train": writeFile(t, "changed.jsonl", rows...)}},
		{"template", lesson{"template": template}},
		{"model", lesson{"model": changedModel(t, other["model"].(string))}},
		{"recipe", lesson{"train.learning_rate": 0.02}},
		{"train.learning_rate was 0.01, is 0.02", lesson{"train.learning_rate": 0.02}},
		{"template_kwargs.a was not set, is 1", lesson{"template_kwargs": "{a: 1}"}},
		{`recipe: system was "", is "Be kind."`, lesson{"system": "Be kind."}},
		{`compute.dtype was "float32", is "bfloat16"`, lesson{"compute.dtype": "bfloat16"}},
		{"eval has changed", lesson{"data.eval": writeFile(t, "held.jsonl", sums(48, 8)...)}},
		{"recipe", lesson{"lora.r": 8}},
		{"train.steps was 24, is 30", lesson{"train.steps": 30}},
		{"train.epochs was 1, is 2", lesson{"train.epochs": 2}},
		{"train.examples_per_step was 4, is 8", lesson{"train.examples_per_step": 8}},
		{"the data and the recipe and the number of steps have changed", lesson{"data.train": writeFile(t, "fewer.jsonl", rows[:20]...), "train.steps": 30}},
		{"take what it was, or another run_dir", lesson{"train.steps": 30}},
	} {
		wantCode(t, exitUsage, []string{c.what}, base.with(c.change).args("train", "--resume")...)
	}
	renamed := writeFile(t, "renamed.jsonl", sums(0, 40)...)
	base.with(lesson{"data.train": renamed, "checkpoint.every": 7, "compute.recompute": "full", "compute.micro_batch_tokens": 512}).train(t, "--resume")
}

// changedModel damages one bit of a model's weights.
func changedModel(t *testing.T, dir string) string {
	t.Helper()
	damage(t, filepath.Join(dir, "model.safetensors"))
	return dir
}

func TestRunDirIsOneRun(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 2})
	l.train(t)
	before := product(t, l.runDir())
	wantCode(t, exitUsage, []string{"holds a run", "--resume", l.runDir()}, l.args("train")...)
	l.train(t, "--resume") // done already: publishes what it has
	if !bytes.Equal(before, product(t, l.runDir())) {
		t.Error("resuming a run that is done changed its weights")
	}
	if n := len(records(t, l.runDir())); n != 4 { // evaluations before and after, two steps
		t.Errorf("%d records of two steps and two evaluations", n)
	}

	held, err := openRunDir(streams{fs: disk.In}, l.runDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, exitUsage, []string{"in use", l.runDir()}, l.args("train", "--resume")...)
	if err := held.close(); err != nil {
		t.Fatal(err)
	}
	l.train(t, "--resume")
}

// Where a device takes another dtype than the one before by itself, what is refused says so.
func TestResumeSaysWhoseDtypeItIs(t *testing.T) {
	l := smallLesson(t, lesson{"compute.dtype": "bfloat16"})
	l.train(t, "--until-step", "2")
	wantCode(t, exitUsage, []string{`compute.dtype was "bfloat16", is "float32" (which auto means on this device)`}, l.with(lesson{"compute.dtype": "auto"}).args("train", "--resume")...)
	got := wantCode(t, exitUsage, []string{`compute.dtype was "bfloat16", is "float32"`}, l.with(lesson{"compute.dtype": "float32"}).args("train", "--resume")...)
	if strings.Contains(got.stderr, "auto means") {
		t.Errorf("a dtype that was asked for: %s", got.stderr)
	}
}
