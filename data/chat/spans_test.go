package chat

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"attune/data"
	"attune/data/jinja"
	"attune/internal/reftest"
)

// templateCase is a line of the published templates' cases.
type templateCase struct {
	Template, Case string
	Conversation   json.RawMessage
	Tools          json.RawMessage
	AddPrompt      bool    `json:"add_generation_prompt"`
	BOS            *string `json:"bos_token"`
	EOS            *string `json:"eos_token"`
	Kwargs         map[string]json.RawMessage
	Now            string
	Expected       *string
	Error          string
	ErrorType      string    `json:"error_type"`
	AssistantSpans *[][2]int `json:"assistant_spans"`
}

func (c *templateCase) now(t *testing.T) time.Time {
	now, err := time.Parse("2006-01-02T15:04:05", c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func eachCase(t *testing.T, do func(c templateCase, tmpl *Template)) {
	templates := map[string]*Template{}
	for _, c := range reftest.Lines[templateCase](t, reftest.Path(t, "chat_templates/cases.jsonl")) {
		if templates[c.Template] == nil {
			tmpl, err := FromFile(filepath.Join(reftest.Path(t, "chat_templates"), c.Template))
			if err != nil {
				t.Fatal(err)
			}
			templates[c.Template] = tmpl
		}
		do(c, templates[c.Template])
	}
}

// TestRenderJSON holds every published template to what transformers renders with it, through the door of a server.
func TestRenderJSON(t *testing.T) {
	n := 0
	eachCase(t, func(c templateCase, tmpl *Template) {
		n++
		r, err := tmpl.RenderJSON(Input{Conversation: c.Conversation, Tools: c.Tools, AddGenerationPrompt: c.AddPrompt, BOS: c.BOS, EOS: c.EOS, Kwargs: c.Kwargs, Now: c.now(t)})
		if c.Expected != nil {
			if err != nil || r.Text != *c.Expected {
				t.Errorf("%s/%s: %v\n got %q\nwant %q", c.Template, c.Case, err, r.Text, *c.Expected)
			}
			return
		}
		var e *jinja.Error
		if !errors.As(err, &e) || (c.ErrorType == "raise_exception") != (e.Kind == jinja.Raised) || e.Kind == jinja.Raised && e.Msg != c.Error {
			t.Errorf("%s/%s: got %q, %v, want the error %q", c.Template, c.Case, r.Text, err, c.Error)
		}
	})
	if n < 500 {
		t.Fatalf("only %d cases", n)
	}
}

func TestRenderJSONInput(t *testing.T) {
	tmpl, err := compile("mine", "{{ messages }}{{ bos_token is defined }}{{ tools }}{{ k }}")
	if err != nil {
		t.Fatal(err)
	}
	render := func(conversation, tools, k string) string {
		r, err := tmpl.RenderJSON(Input{Conversation: json.RawMessage(conversation), Tools: json.RawMessage(tools), Kwargs: map[string]json.RawMessage{"k": json.RawMessage(k)}})
		if err != nil {
			return "error: " + err.Error()
		}
		return r.Text
	}
	for _, c := range [][4]string{
		{`[{"b": 1, "role": "x", "b": 2.0}]`, "null", "[true]", `[{'b': 2.0, 'role': 'x'}]FalseNone[True]`},
		{`[{"role": "x", "reasoning": "t", "z": 0}]`, "[{}]", "1", `[{'thinking': 't', 'role': 'x', 'reasoning': 't', 'z': 0, 'reasoning_content': 't'}]False[{}]1`},
		{`[{"thinking": "t", "reasoning_content": null}]`, "", "null", `[{'thinking': 't', 'reasoning_content': 't'}]FalseNoneNone`},
		{`null`, "", "1", "error: conversation is not a list of messages"},
		{`["x"]`, "", "1", "error: conversation[0]: the message is not an object"},
		{`[]`, "[", "1", "error: tools: read JSON: EOF"},
		{`[]`, "", "", `error: kwargs: "k": read JSON: unexpected EOF`},
	} {
		if got := render(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("%s: got %s, want %s", c[0], got, c[3])
		}
	}
}

// rowOf is the conversation of a case as rows have it; ok is false where it has content in parts, which rows have joined.
func rowOf(t *testing.T, c templateCase) (conv data.Conversation, ok bool) {
	var messages []struct {
		Role             string
		Content          json.RawMessage
		ReasoningContent string          `json:"reasoning_content"`
		ToolCalls        json.RawMessage `json:"tool_calls"`
		Name             string
		ToolCallID       string `json:"tool_call_id"`
	}
	if err := json.Unmarshal(c.Conversation, &messages); err != nil {
		t.Fatal(err)
	}
	ok = true
	for _, m := range messages {
		row := data.Message{Role: m.Role, ReasoningContent: m.ReasoningContent, ToolCalls: m.ToolCalls, Name: m.Name, ToolCallID: m.ToolCallID}
		if json.Unmarshal(m.Content, &row.Content) != nil {
			ok = false
		}
		conv.Messages = append(conv.Messages, row)
	}
	if string(c.Tools) != "null" {
		conv.Tools = c.Tools
	}
	return conv, ok
}

// TestGenerationSpans holds trained spans to transformers' assistant masks, in every case of a template that marks them.
func TestGenerationSpans(t *testing.T) {
	n, trained, refused := 0, 0, []string{}
	eachCase(t, func(c templateCase, tmpl *Template) {
		if c.AssistantSpans == nil {
			return
		}
		n++
		name := strings.TrimSuffix(c.Template, ".jinja") + "/" + c.Case
		conv, inRows := rowOf(t, c)
		o := RenderOptions{Specials: map[string]string{}, SpecialTokens: []string{"<|im_end|>", "<|eot_id|>"}, Kwargs: map[string]any{}, Now: c.now(t)}
		for k, v := range c.Kwargs {
			o.Kwargs[k] = v
		}
		if c.BOS != nil {
			o.Specials["bos_token"] = *c.BOS
		}
		drawn := func(r Rendering) [][2]int {
			got := [][2]int{}
			for _, s := range r.Trained {
				got = append(got, [2]int{utf8.RuneCountInString(r.Text[:s.Start]), utf8.RuneCountInString(r.Text[:s.End])})
			}
			return got
		}

		// What a row cannot say, or training refuses, is looked at below that.
		conversation, err := tmpl.newConversation(conv, o, false)
		if err != nil {
			t.Fatal(err)
		}
		if conversation.messages, err = messageValues(c.Conversation); err != nil {
			t.Fatal(err)
		}
		whole, err := conversation.render(len(conv.Messages), c.AddPrompt)
		if err != nil || whole.Text != *c.Expected {
			t.Errorf("%s: %q, %v", name, whole.Text, err)
			return
		}
		turns, err := trainedTurns(conv.Messages, "all")
		if err != nil {
			t.Fatal(err)
		}
		rs, err := conversation.train(whole, turns, func(int, jinja.Result) error { return nil })
		if err != nil || len(rs) != 1 || !slices.Equal(drawn(rs[0]), *c.AssistantSpans) {
			t.Errorf("%s: trained %v, %v, want %v", name, rs, err, *c.AssistantSpans)
			return
		}
		trained += len(rs[0].Trained)

		if c.AddPrompt || !inRows {
			return
		}
		r, err := tmpl.Render(conv, o)
		switch {
		case err != nil && strings.Contains(err.Error(), "writes nothing of"):
			refused = append(refused, name)
		case err != nil || !slices.Equal(drawn(r), *c.AssistantSpans):
			t.Errorf("%s: as a row trained %v, %v, want %v", name, drawn(r), err, *c.AssistantSpans)
		}
	})
	if n != 60 || trained < 40 {
		t.Errorf("%d cases with %d spans", n, trained)
	}
	if want := []string{"smollm3/tools-call-and-result", "smollm3/tools-call-null-content", "smollm3/reasoning"}; !slices.Equal(refused, want) {
		t.Errorf("refused for what the template leaves out: %v, want %v", refused, want)
	}
}

// TestGenerationIsNotNeeded: without its {% generation %} tags a published training template is trained the same, white
// space aside.
func TestGenerationIsNotNeeded(t *testing.T) {
	tags := regexp.MustCompile(`\{%-? *(end)?generation *-?%\}`)
	n := 0
	eachCase(t, func(c templateCase, tmpl *Template) {
		conv, inRows := rowOf(t, c)
		if c.AssistantSpans == nil || !strings.HasPrefix(c.Template, "trl-") || c.AddPrompt || !inRows {
			return
		}
		bare, err := compile("without tags", tags.ReplaceAllStringFunc(tmpl.Source(), func(tag string) string {
			// Any other tag trims as this one does.
			return strings.NewReplacer("endgeneration", "endif", "generation", "if true").Replace(tag)
		}))
		if err != nil {
			t.Fatal(err)
		}
		o := RenderOptions{Specials: map[string]string{}, SpecialTokens: []string{"<|im_end|>", "<|eot_id|>"}}
		if c.BOS != nil {
			o.Specials["bos_token"] = *c.BOS
		}
		want, err1 := tmpl.Render(conv, o)
		got, err2 := bare.Render(conv, o)
		if err1 != nil || err2 != nil || want.Text != got.Text || len(want.Trained) != len(got.Trained) {
			t.Errorf("%s/%s: %v, %v, %v, %v", c.Template, c.Case, want, got, err1, err2)
			return
		}
		for i := range want.Trained {
			n++
			a, b := want.Trained[i], got.Trained[i]
			if x, y := strings.TrimSpace(want.Text[a.Start:a.End]), strings.TrimSpace(got.Text[b.Start:b.End]); x != y {
				t.Errorf("%s/%s: trained %q, without the tags %q", c.Template, c.Case, x, y)
			}
		}
	})
	if n < 15 {
		t.Errorf("only %d turns", n)
	}
}
