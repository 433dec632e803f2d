package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// demo writes what the demo leaves behind: rows, of which base and tuned answered so many right.
func demo(t *testing.T, rows, base, tuned int) string {
	t.Helper()
	dir := t.TempDir()
	type answer map[string]any
	var reports []map[string]any
	for m, right := range []int{base, tuned} {
		var answers []answer
		for i := range rows {
			said := "a\nb"
			if i < right {
				said = fmt.Sprint("a", i)
			}
			answers = append(answers, answer{"file": "held-out.jsonl", "line": i + 1, "prompt": fmt.Sprint("q", i), "expected": fmt.Sprint("a", i), "got": said, "match": i < right})
		}
		reports = append(reports, map[string]any{"model": "m", "loss": []float64{4.5, 0.25}[m], "exact_match": float64(right) / float64(rows), "answers": answers})
	}
	eval, err := json.Marshal(reports)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"data/held-out.jsonl": "{}\n", "eval.json": string(eval),
		"pretrain/metrics.jsonl": `{"step":1,"loss":2,"seconds":1.5}` + "\n" + `{"step":2,"loss":1,"seconds":2.5}` + "\n",
		"tune/metrics.jsonl":     `{"step":1,"eval_loss":2,"seconds":3}` + "\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		base, tuned int
		want        string // of the error; "" = none
	}{{0, 20, ""}, {1, 18, ""}, {0, 17, "answered 85.0 % of 20"}, {2, 20, "the base answered 10.0 % of 20"}} {
		v, err := read(demo(t, 20, c.base, c.tuned))
		if err != nil {
			t.Fatal(err)
		}
		if err = v.check(); (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("base %d, tuned %d of 20 right: got %v, want %q", c.base, c.tuned, err, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	dir := demo(t, 20, 0, 19)
	v, err := read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	v.print(&b, dir)
	for _, want := range []string{"q0", "expected a0", "base     a / b", "tuned    a0", "20 held-out rows", "0.0 %", "95.0 %", "4.500", "0.250", "pre-training 4s, tuning 3s", filepath.Join(dir, "tune", "adapter")} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

// Answers that are missing are an error, not wrong or right answers.
func TestMissing(t *testing.T) {
	whole := demo(t, 20, 0, 20)
	raw, err := os.ReadFile(filepath.Join(whole, "eval.json"))
	if err != nil {
		t.Fatal(err)
	}
	var reports []map[string]any
	if err := json.Unmarshal(raw, &reports); err != nil {
		t.Fatal(err)
	}
	base, tuned := reports[0], reports[1]
	without := func(r map[string]any, key string) map[string]any {
		c := map[string]any{}
		for k, v := range r {
			if k != key {
				c[k] = v
			}
		}
		return c
	}
	fewer := without(tuned, "answers")
	fewer["answers"] = tuned["answers"].([]any)[:19]
	for what, broken := range map[string]any{
		"no reports": []any{}, "no tuned model": []any{base}, "no share": []any{base, without(tuned, "exact_match")},
		"no answers": []any{without(base, "answers"), without(tuned, "answers")}, "an answer less": []any{base, fewer},
	} {
		dir := demo(t, 20, 0, 20)
		b, err := json.Marshal(broken)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "eval.json"), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(dir); err == nil {
			t.Errorf("%s: passes", what)
		}
	}
	for _, name := range []string{"eval.json", "pretrain/metrics.jsonl", "data/held-out.jsonl"} {
		dir := demo(t, 20, 0, 20)
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
		if _, err := read(dir); err == nil {
			t.Errorf("without %s: passes", name)
		}
	}
}
