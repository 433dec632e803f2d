package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
	"unicode/utf8"

	"attune/internal/reftest"
)

type templateCase struct {
	Template       string          `json:"template"`
	Case           string          `json:"case"`
	Conversation   json.RawMessage `json:"conversation"`
	Tools          json.RawMessage `json:"tools"`
	AddPrompt      bool            `json:"add_generation_prompt"`
	BOS            *string         `json:"bos_token"`
	EOS            *string         `json:"eos_token"`
	Kwargs         map[string]any  `json:"kwargs"`
	Now            string          `json:"now"`
	Expected       *string         `json:"expected"`
	Error          string          `json:"error"`
	ErrorType      string          `json:"error_type"`
	AssistantSpans *[][2]int       `json:"assistant_spans"`
}

func readCases(t testing.TB) []templateCase {
	return reftest.Lines[templateCase](t, reftest.Path(t, "chat_templates", "cases.jsonl"))
}

// conversation reads messages as transformers hands them to a template, every string marked with its message and key.
func conversation(t testing.TB, raw json.RawMessage) *List {
	var messages []json.RawMessage
	if err := json.Unmarshal(raw, &messages); err != nil {
		t.Fatal(err)
	}
	out := &List{}
	for i, m := range messages {
		whole, err := FromJSON(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(m, &fields); err != nil {
			t.Fatal(err)
		}
		d := NewDict()
		if raw, ok := fields["reasoning_content"]; ok {
			v, _ := FromJSON(raw, &Origin{i, "reasoning_content"})
			d.Set("thinking", v)
		}
		for _, k := range whole.(*Dict).keys {
			name := k.(*Str).s
			v, err := FromJSON(fields[name], &Origin{i, name})
			if err != nil {
				t.Fatal(err)
			}
			d.Set(name, v)
		}
		out.items = append(out.items, d)
	}
	return out
}

func (c *templateCase) vars(t testing.TB) (map[string]any, Options) {
	vars := map[string]any{"messages": conversation(t, c.Conversation), "documents": nil, "tools": nil, "add_generation_prompt": c.AddPrompt}
	if string(c.Tools) != "null" {
		v, err := FromJSON(c.Tools, &Origin{-1, "tools"})
		if err != nil {
			t.Fatal(err)
		}
		vars["tools"] = v
	}
	if c.BOS != nil {
		vars["bos_token"] = *c.BOS
	}
	if c.EOS != nil {
		vars["eos_token"] = *c.EOS
	}
	for k, v := range c.Kwargs {
		vars[k] = v
	}
	now, err := time.Parse("2006-01-02T15:04:05", c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return vars, Options{Now: now}
}

func compileFile(t testing.TB, name string) *Template {
	src, err := os.ReadFile(reftest.Path(t, "chat_templates", name))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := Compile(string(src))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tmpl
}

// TestPublishedTemplates holds every published template to what transformers renders with it.
func TestPublishedTemplates(t *testing.T) {
	cases := readCases(t)
	templates := map[string]*Template{}
	for _, c := range cases {
		tmpl := templates[c.Template]
		if tmpl == nil {
			tmpl = compileFile(t, c.Template)
			templates[c.Template] = tmpl
		}
		t.Run(c.Template+"/"+c.Case, func(t *testing.T) {
			vars, o := c.vars(t)
			got, err := tmpl.Render(vars, o)
			if c.Expected == nil {
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("got %q, want the error %q", got.Text, c.Error)
				}
				if raised := c.ErrorType == "raise_exception"; raised != (e.Kind == Raised) || raised && e.Msg != c.Error {
					t.Fatalf("got the error %q, want %q (%s)", e.Msg, c.Error, c.ErrorType)
				}
				if e.Line < 1 || e.Col < 1 {
					t.Errorf("the error %q has no position", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Text != *c.Expected {
				t.Fatalf("got  %q\nwant %q", got.Text, *c.Expected)
			}
			if c.AssistantSpans != nil {
				if len(got.Generation) != len(*c.AssistantSpans) {
					t.Fatalf("generation blocks %v, want %v", got.Generation, *c.AssistantSpans)
				}
				for i, want := range *c.AssistantSpans {
					g := got.Generation[i]
					if start, end := utf8.RuneCountInString(got.Text[:g.Start]), utf8.RuneCountInString(got.Text[:g.End]); start != want[0] || end != want[1] {
						t.Errorf("generation block %d is [%d, %d), want %v", i, start, end, want)
					}
				}
			}
		})
	}
}
