package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"attune/data/chat"
	"attune/engine/model"
	"attune/internal/reftest"
)

// renderQuestion is a line of `template render`.
type renderQuestion struct {
	Conversation json.RawMessage `json:"conversation"`
	Tools        json.RawMessage `json:"tools"`
	Prompt       bool            `json:"add_generation_prompt"`
	BOS          *string         `json:"bos_token"`
	EOS          *string         `json:"eos_token"`
	Kwargs       json.RawMessage `json:"kwargs"`
	Now          string          `json:"now"`
}

type renderAnswer struct{ Text, Error *string }

// Every published case through the command: the text to the byte, a template's own refusal word for word, and an error
// where transformers has one.
func TestTemplateRenderPublished(t *testing.T) {
	dir := reftest.Path(t, "chat_templates")
	type wanted struct {
		Template, Case, Error string
		ErrorType             string `json:"error_type"`
		Expected              *string
	}
	questions := map[string][]any{}
	cases := map[string][]wanted{}
	path := filepath.Join(dir, "cases.jsonl")
	lines := jsonFile[renderQuestion](t, path)
	for i, w := range jsonFile[wanted](t, path) {
		questions[w.Template] = append(questions[w.Template], lines[i])
		cases[w.Template] = append(cases[w.Template], w)
	}
	if len(lines) < 529 {
		t.Fatalf("%d cases, not 529", len(lines))
	}
	for name, asked := range questions {
		for i, got := range ask[renderAnswer](t, asked, "template", "render", "--template", filepath.Join(dir, name), "--jsonl") {
			w := cases[name][i]
			switch {
			case w.Expected != nil && (got.Text == nil || *got.Text != *w.Expected):
				t.Errorf("%s, %s: got %s, want %q", name, w.Case, said(got), *w.Expected)
			case w.Expected == nil && got.Error == nil, w.ErrorType == "raise_exception" && *got.Error != w.Error:
				t.Errorf("%s, %s: got %s, want the error %q", name, w.Case, said(got), w.Error)
			}
		}
	}
}

func said(a renderAnswer) string {
	if a.Text != nil {
		return *a.Text
	}
	return "the error " + *a.Error
}

// Without --jsonl one object is rendered, and the text stands alone.
func TestTemplateRenderOne(t *testing.T) {
	file := writeFile(t, "own.jinja", "{{ bos_token is defined }} {{ eos_token }} {{ strftime_now('%Y') }} {{ k }} {{ messages[0].content }}",
		"{%- if not tools %}{{ raise_exception('no tools') }}{% endif %}")
	render := func(in string) outcome {
		return invoke(t.Context(), in, "template", "render", "--template", file)
	}
	o := render(`{"conversation": [{"content": "hé"}],
		"eos_token": "</s>", "now": "1999-12-31T23:59:59", "kwargs": {"k": [1]}, "tools": [1]}`)
	if want := "False </s> 1999 [1] hé"; o.code != exitOK || o.stdout != want || o.stderr != "" {
		t.Errorf("exit code %d, got %q, want %q\n%s", o.code, o.stdout, want, o.stderr)
	}
	for _, c := range []struct {
		in   string
		code int
		says string
	}{
		{`{"conversation": [{"content": "x"}]}`, exitFailed, "attune: no tools\n"},
		{`{"conversation": [{}]}{}`, exitData, "--jsonl"},
		{``, exitData, "--jsonl"},
		{`{"conversation": {}}`, exitData, "conversation is not a list"},
	} {
		if o := render(c.in); o.code != c.code || o.stdout != "" || !strings.Contains(o.stderr, c.says) {
			t.Errorf("%s: exit code %d, want %d\n%s", c.in, o.code, c.code, o.stderr)
		}
	}
	dir := smallModel(t, model.NewOptions{})
	own := invoke(t.Context(), `{"conversation": [{"role": "user", "content": "x"}]}`, "template", "render", "--template", dir)
	if want := "<|im_start|>user\nx<|im_end|>\n"; own.code != exitOK || own.stdout != want {
		t.Errorf("a model's own: exit code %d, got %q, want %q\n%s", own.code, own.stdout, want, own.stderr)
	}
	wantCode(t, exitUsage, []string{"--template FILE", "alpaca"}, "template", "render")
	wantCode(t, exitUsage, []string{"missing.jinja"}, "template", "render", "--template", "missing.jinja")
	wantCode(t, exitUsage, []string{"line 1, column 4"}, "template", "render", "--template", writeFile(t, "broken.jinja", "{% nonsense %}"))
}

// What check finds is printed, also as JSON; an error among it is exit code 1.
func TestTemplateCheck(t *testing.T) {
	dir := smallModel(t, model.NewOptions{})
	findings := func(code int, args ...string) map[string]chat.Finding {
		t.Helper()
		o := wantCode(t, code, nil, append([]string{"template", "check", "--json"}, args...)...)
		var list []chat.Finding
		if err := json.Unmarshal([]byte(o.stdout), &list); err != nil {
			t.Fatal(err)
		}
		by := map[string]chat.Finding{}
		for _, f := range list {
			by[f.Check] = f
		}
		return by
	}
	own := findings(exitOK, dir)
	if f := own["end of turn"]; f.Level != chat.LevelOK || !strings.Contains(f.What, "stands behind each answer") {
		t.Errorf("the model's own template: %+v", f)
	}
	text := wantCode(t, exitOK, nil, "template", "check", dir).stdout
	for _, f := range own {
		if !strings.Contains(text, f.Level) || !strings.Contains(text, f.Check) || !strings.Contains(text, f.What) || !strings.Contains(text, f.Do) {
			t.Errorf("%+v is not in\n%s", f, text)
		}
	}

	// a template that ends no turn teaches no model to stop
	endless := writeFile(t, "endless.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
	if f := findings(exitFailed, dir, "--template", endless)["end of turn"]; f.Level != chat.LevelError || f.Do == "" {
		t.Errorf("a template that ends no turn: %+v", f)
	}
	wantCode(t, exitFailed, []string{"checks failed"}, "template", "check", dir, "--template", endless)

	// as does one whose end other servers do not know
	config := filepath.Join(dir, "generation_config.json")
	if err := os.WriteFile(config, []byte(`{"eos_token_id": 7}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if f := findings(exitFailed, dir)["stops"]; f.Level != chat.LevelError || !strings.Contains(f.Do, "generation_config.json") {
		t.Errorf("a turn's end that generation_config.json does not have: %+v", f)
	}
	wantCode(t, exitUsage, []string{"takes the model directory"}, "template", "check")
	wantCode(t, exitUsage, []string{"not a directory"}, "template", "check", config)
}

// dying is a context that is done once it was asked so often.
type dying struct {
	context.Context
	looks atomic.Int64
}

func (d *dying) Err() error {
	if d.looks.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// An interrupt ends a rendering, not only what comes behind it: the template would take thousands of looks at the context.
func TestInterruptedRendering(t *testing.T) {
	template := writeFile(t, "slow.jinja", `{% if 'endless' in messages[0].content %}{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}{% endif -%}
		{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`)
	rows := writeFile(t, "rows.jsonl", `{"messages": [{"role": "user", "content": "endless"}, {"role": "assistant", "content": "A"}]}`)
	lesson := smallLesson(t, lesson{"template": template, "data.train": rows, "data.eval": rows})
	const question = `{"conversation": [{"role": "user", "content": "endless"}]}`
	for _, c := range []struct {
		stdin string
		args  []string
	}{
		{question, []string{"template", "render", "--template", template}},
		{question + "\n" + question, []string{"template", "render", "--jsonl", "--template", template}},
		{"", []string{"data", "show", rows, "--model", lesson["model"].(string), "--template", template}},
		{"", lesson.args("plan")},
		{`{"prompt": "endless"}`, []string{"generate", "--model", lesson["model"].(string), "--template", template, "--prompts", "-"}},
	} {
		ctx := &dying{Context: t.Context()}
		ctx.looks.Store(500)
		if o := invoke(ctx, c.stdin, c.args...); o.code != exitInterrupted || !strings.Contains(o.stderr, "interrupted") || strings.Contains(o.stderr, "steps") || strings.Contains(o.stdout, "error") {
			t.Errorf("attune %s: exit code %d, %d looks left\n%s\n%s", c.args[:2], o.code, ctx.looks.Load(), o.stdout, o.stderr)
		}
	}
}
