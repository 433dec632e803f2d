package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"attune/data/corpus"
	"attune/engine/model"
	"attune/internal/config"
)

// judged is what eval --json says of each model.
func judged(t *testing.T, args ...string) []verdict {
	t.Helper()
	var vs []verdict
	if err := json.Unmarshal([]byte(wantCode(t, exitOK, nil, append([]string{"eval", "--json"}, args...)...).stdout), &vs); err != nil {
		t.Fatal(err)
	}
	return vs
}

// eval's loss and exact answers of a model that has learned its rows by heart, beside one that has not.
func TestEval(t *testing.T) {
	rows := writeFile(t, "rows.jsonl", `{"instruction": "Say one.", "output": "One!"}`, `{"instruction": "Say two.", "output": "Never."}`)
	dir := taught(t)
	var v []verdict
	o := wantCode(t, exitOK, nil, "eval", "--model", dir, "--data", rows, "--answers", "--json", "--dtype", "float32")
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
		t.Fatal(err)
	}
	if len(v) != 1 || v[0].Exact == nil || *v[0].Exact != 0.5 || len(v[0].Answers) != 2 || v[0].Answers[0].Got != "One!" || v[0].Answers[1].File != rows || v[0].Answers[1].Line != 2 || v[0].Tokens != len("One!")+len("Never.")+2 {
		t.Errorf("%s", o.stdout)
	}
	if s := wantCode(t, exitOK, nil, "eval", "--model", dir, "--data", rows, "--answers", "--limit", "1").stdout; !strings.Contains(s, "1 of 1 answers exactly right (100.0 %), of the first of 2 rows") {
		t.Errorf("%s", s)
	}
	if exactMatch(nil) != nil {
		t.Error("a share of no answers")
	}

	// what was dropped and what is odd is said
	rows = writeFile(t, "long.jsonl", `{"instruction": "Say one.", "output": "One!"}`, `{"instruction": "", "output": "Two."}`, fmt.Sprintf(`{"instruction": "a", "output": "%s"}`, strings.Repeat("long ", 60)))
	judge := []string{"eval", "--model", dir, "--data", rows, "--max-length", "100", "--overlength", "drop"}
	s := wantCode(t, exitOK, nil, judge...).stdout
	for _, w := range []string{rows + ": 3 rows (instruction), 2 examples", "over --max-length: 0 cut, 0 split, 1 dropped", rows + ":2: "} {
		if !strings.Contains(s, w) {
			t.Errorf("%q is not in\n%s", w, s)
		}
	}
	v = nil
	if err := json.Unmarshal([]byte(wantCode(t, exitOK, nil, append(judge, "--json")...).stdout), &v); err != nil || len(v) != 1 || len(v[0].Rows) != 1 || v[0].Rows[0].Dropped != 1 || v[0].Rows[0].Warnings != 1 {
		t.Errorf("%+v (%v)", v, err)
	}
}

// turns are rows of several turns, some with a system prompt of their own.
func turns(n int) []string {
	var rows []string
	for i := range n {
		system := ""
		if i%3 == 0 {
			system = `{"role": "system", "content": "Add."}, `
		}
		rows = append(rows, fmt.Sprintf(`{"messages": [%s{"role": "user", "content": "%d+1?"}, {"role": "assistant", "content": "%d"}, {"role": "user", "content": "And %d+2?"}, `+
			`{"role": "assistant", "content": "It is %d."}]}`, system, i, i+1, i, i+2))
	}
	return rows
}

// eval -c prints the loss that training printed, to the last bit, of base and tuned model: whatever of the run file it hangs
// on. Without the run file it is another number, unless flags say the same.
func TestEvalIsTheRuns(t *testing.T) {
	one, two := writeFile(t, "one.jsonl", turns(9)...), writeFile(t, "two.jsonl", sums(40, 8)...)
	l := smallLesson(t, lesson{"data.train": writeFile(t, "train.jsonl", turns(12)...), "data.eval": fmt.Sprintf("[{path: %s}, {path: %s, format: instruction}]", one, two),
		"data.train_on": "last", "system": "Answer with a number.", "system_ratio": 0.5, "train.steps": 6, "train.seed": 4})
	trained := func(l lesson) (x summary) {
		t.Helper()
		if err := json.Unmarshal([]byte(l.train(t, "--json").stdout), &x); err != nil {
			t.Fatal(err)
		}
		if x.EvalBefore == nil || x.EvalAfter == nil {
			t.Fatalf("no losses in %+v", x)
		}
		return x
	}
	x := trained(l)
	model, run, adapter := l["model"].(string), filepath.Join(l.runDir(), runYAML), filepath.Join(l.runDir(), adapterDir)
	vs := judged(t, "-c", run, "--adapter", adapter, "--answers", "--limit", "11", "--max-new-tokens", "2")
	if len(vs) != 2 || vs[0].Loss != *x.EvalBefore || vs[1].Loss != *x.EvalAfter {
		t.Errorf("losses %.9f and %.9f, training had %.9f and %.9f", vs[0].Loss, vs[1].Loss, *x.EvalBefore, *x.EvalAfter)
	}
	if a := vs[1].Answers; len(vs[1].Rows) != 2 || len(a) != 11 || a[8].File != one || a[8].Line != 9 || a[10].File != two || a[10].Line != 2 {
		t.Errorf("rows %+v, answers %+v", vs[1].Rows, a)
	}
	near := func(v verdict, loss float64) bool { return math.Abs(v.Loss-loss) < 1e-6*loss }
	if v := judged(t, "--model", model, "--adapter", adapter, "--data", one, "--dtype", "float32"); near(v[1], vs[1].Loss) {
		t.Errorf("what is asked and trained makes no difference to the loss %g", v[1].Loss)
	}

	// the same settings as flags, and flags that stand instead of the run file's
	l = l.with(lesson{"system_ratio": 1, "data.eval": one, "run_dir": filepath.Join(t.TempDir(), "run")})
	x = trained(l)
	run, adapter = filepath.Join(l.runDir(), runYAML), filepath.Join(l.runDir(), adapterDir)
	flags := []string{"--model", model, "--adapter", adapter, "--data", one, "--dtype", "float32", "--system", "Answer with a number.", "--train-on", "last"}
	if v := judged(t, flags...); !near(v[1], *x.EvalAfter) {
		t.Errorf("by flags the loss is %g, training had %g", v[1].Loss, *x.EvalAfter)
	}
	other := judged(t, "-c", run, "--adapter", adapter, "--data", two, "--train-on", "all", "--system", "")
	if v := judged(t, "--model", model, "--adapter", adapter, "--data", two, "--dtype", "float32", "--system", ""); !near(other[1], v[1].Loss) || len(other[1].Rows) != 1 {
		t.Errorf("flags over the run file: the loss is %g, by flags alone %g", other[1].Loss, v[1].Loss)
	}

	// all weights trained: the run's model in place of the run file's
	full := l.with(lesson{"method": "full", "train.learning_rate": 0.002, "run_dir": filepath.Join(t.TempDir(), "run")})
	x = trained(full)
	if v := judged(t, "-c", filepath.Join(full.runDir(), runYAML), "--model", filepath.Join(full.runDir(), modelDir)); len(v) != 1 || !near(v[0], *x.EvalAfter) {
		t.Errorf("the trained model's loss is %g, training had %g", v[0].Loss, *x.EvalAfter)
	}

	wantCode(t, exitUsage, []string{"--format"}, "eval", "-c", run, "--format", "text")
	wantCode(t, exitUsage, []string{"--train-on"}, append(append([]string{"eval"}, flags...), "--train-on", "first")...)
	wantCode(t, exitUsage, []string{"no rows", "--data", "data.eval"}, "eval", "-c", writeFile(t, "none.yaml", "model: "+model, "run_dir: x", "data: {train: [{path: "+one+"}]}"))
}

// The rows of a run that a template writes the date into are judged as of the run's date.
func TestEvalIsOfTheRunsDate(t *testing.T) {
	dated := writeFile(t, "dated.jinja", `{% for m in messages %}<|im_start|>{{ m.role }} on {{ strftime_now('%d %B %Y') }}: {{ m.content }}<|im_end|>{% endfor %}`)
	l := smallLesson(t, lesson{"template": dated, "train.steps": 2})
	trainOn(t, time.Date(2020, time.March, 2, 12, 0, 0, 0, time.UTC), l, false, 0)
	var last struct {
		Loss float64 `json:"eval_loss"`
	}
	lines := records(t, l.runDir())
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Loss == 0 {
		t.Fatalf("%v in %q", err, lines)
	}
	flags := []string{"--adapter", filepath.Join(l.runDir(), adapterDir), "--data", l["data.eval"].(string)}
	if vs := judged(t, append(flags, "-c", filepath.Join(l.runDir(), runYAML))...); vs[1].Loss != last.Loss {
		t.Errorf("the loss is %.9f, training had %.9f", vs[1].Loss, last.Loss)
	}
	if vs := judged(t, append(flags, "--model", l["model"].(string), "--template", dated, "--dtype", "float32")...); vs[1].Loss == last.Loss {
		t.Error("the date makes no difference")
	}
}

// The answers' rows get the system prompt that training gives them.
func TestSystemOfTheAnswers(t *testing.T) {
	rows := writeFile(t, "rows.jsonl", sums(0, 12)...)
	l := smallLesson(t, lesson{"model": smallModel(t, model.NewOptions{Untied: true}), "system": strings.Repeat("Very long. ", 10), "system_ratio": 0.5, "data.train": rows, "data.eval": rows, "train.steps": 1})
	l.train(t)
	run := filepath.Join(l.runDir(), runYAML)
	answers := func(flags ...string) (got []string) {
		for _, a := range judged(t, append([]string{"-c", run, "--answers", "--max-new-tokens", "8"}, flags...)...)[0].Answers {
			got = append(got, a.Got)
		}
		return got
	}
	some, none, all := answers(), answers("--system", ""), answers("-c", writeFile(t, "all.yaml", "model: "+l["model"].(string), "run_dir: x", "system: "+l["system"].(string),
		"compute: {dtype: float32}", fmt.Sprintf("data: {train: [{path: %s}], eval: [{path: %s}]}", rows, rows)))
	with, without := 0, 0
	for i := range some {
		switch some[i] {
		case all[i]:
			with++
		case none[i]:
			without++
		default:
			t.Errorf("row %d is answered %q; with the system prompt %q, without %q", i+1, some[i], all[i], none[i])
		}
	}
	if with == 0 || without == 0 {
		t.Errorf("%d answers with and %d without the system prompt: %q, %q", with, without, all, none)
	}
}

// Rows are read for answers one at a time, and no further than --limit.
func TestAnswersReadUpToTheLimit(t *testing.T) {
	one := writeFile(t, "one.jsonl", sums(0, 2)...)
	two := writeFile(t, "two.jsonl", append(sums(2, 2), `{"instruction": "broken`)...)
	o := evalOptions{modelFlags: modelFlags{textFlags: textFlags{model: smallModel(t, model.NewOptions{}), template: "auto"}, device: "cpu", dtype: "float32"}}
	o.cfg.Data.Eval = []config.Source{{Path: one, Format: "auto"}, {Path: two, Format: "auto"}}
	l, err := o.open(t.Context(), streams{err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, l.close)
	for o.limit = 1; o.limit <= 4; o.limit++ {
		qs, err := o.ask(t.Context(), l, corpus.Options{})
		if err != nil || len(qs) != o.limit || qs[0].File != one || qs[len(qs)-1].Line != []int{1, 2, 1, 2}[o.limit-1] {
			t.Errorf("up to %d: %d questions, %v", o.limit, len(qs), err)
		}
	}
	for _, o.limit = range []int{0, 5} {
		if _, err := o.ask(t.Context(), l, corpus.Options{}); err == nil || !strings.Contains(err.Error(), two+":3: ") {
			t.Errorf("up to %d: %v", o.limit, err)
		}
	}
}

// A row that is too long is refused in the words of who asked: flags here, the run file's keys with one.
func TestEvalNamesItsSettings(t *testing.T) {
	l := smallLesson(t, lesson{"data.eval": writeFile(t, "long.jsonl", long(1)...), "data.max_length": 64})
	rows, dir := l["data.eval"].(string), l["model"].(string)
	judge := []string{"eval", "--model", dir, "--data", rows, "--max-length", "64"}
	o := wantCode(t, exitData, []string{rows + ":1: ", "--max-length is 64", "--overlength to truncate"}, judge...)
	if strings.Contains(o.stderr, "data.") {
		t.Errorf("eval names a key of the run file: %s", o.stderr)
	}
	wantCode(t, exitData, []string{"raise --max-length"}, append(slices.Clone(judge), "--overlength", "drop")...)
	run := writeFile(t, "run.yaml", "model: "+dir, "run_dir: x", fmt.Sprintf("data: {train: [{path: %s}], eval: [{path: %s}], max_length: 64}", rows, rows))
	wantCode(t, exitData, []string{"data.max_length is 64", "data.overlength"}, "eval", "-c", run)
	for _, c := range []struct {
		code        int
		flag, value string
	}{{exitDevice, "--device", "cuda"}, {exitUsage, "--device", "tpu"}, {exitUsage, "--dtype", "int8"}} {
		if o := wantCode(t, c.code, []string{c.value}, append(slices.Clone(judge), c.flag, c.value)...); strings.Contains(o.stderr, "compute.") {
			t.Errorf("eval names a key of the run file: %s", o.stderr)
		}
	}
}
