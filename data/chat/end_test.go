package chat

import (
	"encoding/json"
	"slices"
	"testing"

	"attune/data"
)

// TestWhereTurnsEnd: at the first token at which generation stops, with what the template closes before it, and not at one
// that it writes only at the end of a conversation.
func TestWhereTurnsEnd(t *testing.T) {
	called := data.Conversation{Messages: []data.Message{{Role: "user", Content: "Q"}, {Role: "assistant", ToolCalls: json.RawMessage(`[{"name":"f","arguments":{"x":"y"}}]`)},
		{Role: "tool", Content: "R"}, {Role: "assistant", Content: "A"}}}
	const turns = `{% for m in messages %}<|start|>{{ m.role }}<|sep|>`
	// Answers and calls are closed by tokens of their own before the turn ends.
	closing := turns + `{% if m.tool_calls %}<|call|>{{ m.tool_calls | tojson }}<|/call|>{% elif m.role == 'assistant' %}{{ m.content }}<|/answer|>{% else %}{{ m.content }}{% endif %}<|end|>{% endfor %}`
	// A call's arguments stand between tokens, and what follows it depends on what follows it.
	quoting := turns + `{% for c in m.tool_calls or [] %}call {{ c.name }} <|q|>{{ c.arguments.x }}<|q|>)<|/call|><|result|>{% else %}{{ m.content }}<|end|>{% endfor %}{% endfor %}`
	// The end token closes the conversation, or opens an answer, and ends no turn.
	final := turns + `{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant<|sep|>{% else %}<|endoftext|>{% endif %}`
	opening := turns + `{{ m.content }}<|end|>{% endfor %}<|start|>assistant<|sep|><|endoftext|>`
	for _, c := range []struct {
		name, source string
		conv         data.Conversation
		stops        []string
		want         []string
	}{
		{"closed answers", closing, called, []string{"<|end|>"}, []string{"<|call|>[{\"name\": \"f\", \"arguments\": {\"x\": \"y\"}}]<|/call|><|end|>", "A<|/answer|><|end|>"}},
		{"closed answers, stops unknown", closing, called, nil, []string{"<|call|>[{\"name\": \"f\", \"arguments\": {\"x\": \"y\"}}]<|/call|>", "A<|/answer|>"}},
		{"quoted arguments", quoting, called, []string{"<|end|>", "<|result|>"}, []string{"call f <|q|>y<|q|>)<|/call|><|result|>", "A<|end|>"}},
		{"quoted arguments, last", quoting, data.Conversation{Messages: called.Messages[:2]}, []string{"<|result|>"}, []string{"call f <|q|>y<|q|>)<|/call|><|result|>"}},
		{"quoted arguments, stops unknown", quoting, called, nil, []string{"call f <|q|>y<|q|>", "A<|end|>"}},
		{"end of a conversation", final, multi, nil, []string{"A1<|end|>", "A2<|end|>"}},
		{"an open answer", opening, multi, nil, []string{"A1<|end|>", "A2<|end|>"}},
	} {
		o := RenderOptions{Specials: map[string]string{"eos_token": "<|endoftext|>"}, StopTokens: c.stops,
			SpecialTokens: []string{"<|start|>", "<|sep|>", "<|end|>", "<|call|>", "<|/call|>", "<|q|>", "<|result|>", "<|/answer|>", "<|endoftext|>"}}
		rs, err := mine(t, c.source).RenderAll(c.conv, o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, r := range rs {
			for _, s := range r.Trained {
				got = append(got, r.Text[s.Start:s.End])
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: trained %q, want %q", c.name, got, c.want)
		}
	}
}
