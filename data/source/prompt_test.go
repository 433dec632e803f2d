package source

import (
	"errors"
	"testing"

	"attune/data"
)

// A prompt keeps everything a template may show, and the turns behind the last answer.
func TestParsePrompt(t *testing.T) {
	at := data.Position{File: "prompts", Line: 3}
	c, err := ParsePrompt(at, []byte(`{"tools": [{"type": "function", "function": {"name": "add"}}], "system": "Add.", "messages": [
		{"role": "user", "content": "1+1?", "name": "ann"},
		{"role": "assistant", "reasoning_content": "hm", "tool_calls": [{"function": {"name": "add", "arguments": {}}}]},
		{"role": "tool", "content": "2", "tool_call_id": "c1"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Messages
	if len(m) != 4 || m[0].Content != "Add." || m[1].Name != "ann" || m[2].ReasoningContent != "hm" || m[2].ToolCalls == nil || m[3].ToolCallID != "c1" ||
		string(c.Tools) != `[{"type": "function", "function": {"name": "add"}}]` || c.Position != at {
		t.Errorf("%+v", c)
	}
	for _, bad := range []string{``, `[]`, `{"messages": []}`, `{"text": "x"}`, `{"messages": [{"role": "user", "content": 5}]}`, `{"messages": [], "tools": 1}`,
		`{"messages": [{"role": "user", "content": "x"}], "tools": {}}`, `{"messages": [{"role": "clown", "content": "x"}]}`} {
		var row *RowError
		if _, err := ParsePrompt(at, []byte(bad)); !errors.As(err, &row) || row.Line != 3 {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
