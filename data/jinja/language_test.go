package jinja

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// TestLanguage holds some 700 small templates to what transformers' own Jinja environment gives (testdata/make_language.py).
func TestLanguage(t *testing.T) {
	f, err := os.Open("testdata/language.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	sc.Scan()
	var head struct{ Vars json.RawMessage }
	if err := json.Unmarshal(sc.Bytes(), &head); err != nil {
		t.Fatal(err)
	}
	v, err := FromJSON(head.Vars, nil)
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{}
	d := v.(*Dict)
	for i, k := range d.keys {
		vars[k.(*Str).s] = d.vals[i]
	}
	n := 0
	for sc.Scan() {
		var c struct {
			Template, Error, Message string
			Expected                 *string
		}
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		n++
		got, err := renderString(c.Template, vars)
		var e *Error
		switch {
		case c.Expected != nil && err != nil:
			t.Errorf("%q: %v, want %q", c.Template, err, *c.Expected)
		case c.Expected != nil && got.Text != *c.Expected:
			t.Errorf("%q:\n got %q\nwant %q", c.Template, got.Text, *c.Expected)
		case c.Expected == nil && !errors.As(err, &e):
			t.Errorf("%q: got %q, want the error %s: %s", c.Template, got.Text, c.Error, c.Message)
		case c.Expected == nil && (e.Line < 1 || e.Col < 1):
			t.Errorf("%q: the error %q has no position", c.Template, e)
		case c.Error == "raise_exception" && (e.Kind != Raised || e.Msg != c.Message):
			t.Errorf("%q: got the error %q, want %q", c.Template, e.Msg, c.Message)
		case c.Error == "TemplateSyntaxError" && e.Kind != Syntax:
			t.Errorf("%q: %q is no syntax error", c.Template, e)
		}
	}
	if n < 600 {
		t.Fatalf("only %d templates were read", n)
	}
}

func renderString(src string, vars map[string]any) (Result, error) {
	return renderWithin(src, vars, Options{})
}
