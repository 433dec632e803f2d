package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// demo writes what the demo leaves behind: rows, of which base and tuned answer so many right.
func demo(t *testing.T, rows, base, tuned int) string {
	t.Helper()
	dir := t.TempDir()
	var held, b, u strings.Builder
	for i := range rows {
		fmt.Fprintf(&held, `{"messages":[{"role":"user","content":"q%d"},{"role":"assistant","content":"a%d"}]}`+"\n", i, i)
		for _, m := range []struct {
			w     *strings.Builder
			right bool
		}{{&b, i < base}, {&u, i < tuned}} {
			said := "a"
			if m.right {
				said = fmt.Sprint("a", i)
			}
			fmt.Fprintf(m.w, `{"new_ids":[1],"text":"%s","stop_reason":"stop"}`+"\n", said)
		}
	}
	for name, text := range map[string]string{
		"data/held-out.jsonl": held.String(), "base.jsonl": b.String(), "tuned.jsonl": u.String(), "eval.json": `[{"loss":4.5},{"loss":0.25}]`,
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
	}{{0, 20, ""}, {1, 18, ""}, {0, 17, "answered 17 of 20"}, {2, 20, "the base answered 2 of 20"}} {
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
	for _, want := range []string{"q0", "expected a0", "20 held-out rows", "0.0 %", "95.0 %", "4.500", "0.250", "pre-training 4s, tuning 3s", filepath.Join(dir, "tune", "adapter")} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

// Answers that are missing are an error, not wrong or right answers.
func TestMissing(t *testing.T) {
	for _, name := range []string{"base.jsonl", "tuned.jsonl", "data/held-out.jsonl", "eval.json"} {
		dir := demo(t, 20, 0, 20)
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := read(dir); err == nil {
			t.Errorf("an empty %s passes", name)
		}
	}
}
