package jinja

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"testing"
)

func seeds(f *testing.F, add func(template string)) {
	file, err := os.Open("testdata/language.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	sc := bufio.NewScanner(file)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var c struct{ Template string }
		if err := json.Unmarshal(sc.Bytes(), &c); err == nil && c.Template != "" {
			add(c.Template)
		}
	}
}

// FuzzCompile: any source compiles or gives an *Error.
func FuzzCompile(f *testing.F) {
	seeds(f, func(s string) { f.Add(s) })
	f.Fuzz(func(t *testing.T, src string) {
		_, err := Compile(src)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%T: %v", err, err)
		}
	})
}

// FuzzRender: any template over any text ends within its bounds, and gives an *Error or spans that are in order.
func FuzzRender(f *testing.F) {
	n := 0
	seeds(f, func(s string) {
		if n++; n%5 == 0 {
			f.Add(s, "some <b>text</b>\n", `{"a": [1, 2.5, "x"], "b": null}`)
		}
	})
	f.Fuzz(func(t *testing.T, src, text, raw string) {
		tmpl, err := Compile(src)
		if err != nil {
			return
		}
		m := NewDict()
		m.Set("role", NewStr("user", &Origin{0, "role"}))
		m.Set("content", NewStr(text, &Origin{0, "content"}))
		vars := map[string]any{"s": NewStr(text, &Origin{1, "content"}), "m": NewList(m), "messages": NewList(m), "n": 7, "l": NewList(int64(3), int64(1)), "yes": true}
		if d, err := FromJSON([]byte(raw), &Origin{2, "tool_calls"}); err == nil {
			vars["d"] = d
		}
		r, err := tmpl.Render(vars, Options{Steps: 20_000, Bytes: 1 << 20})
		var e *Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if len(r.Text) > 1<<20 {
			t.Fatalf("%d bytes", len(r.Text))
		}
		end := 0
		for _, s := range r.Spans {
			if s.Start < end || s.End <= s.Start || s.End > len(r.Text) {
				t.Fatalf("spans %v of %d bytes", r.Spans, len(r.Text))
			}
			end = s.End
		}
	})
}
