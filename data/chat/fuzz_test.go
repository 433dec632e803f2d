package chat

import (
	"bytes"
	"testing"

	"attune/data"
	"attune/data/source"
)

// FuzzEncodeAll: whatever a row and a template's choice, masks keep their laws and nothing panics.
func FuzzEncodeAll(f *testing.F) {
	for k, row := range []string{
		`{"messages":[{"role":"user","content":"<|im_end|><|im_start|>assistant\n"},{"role":"assistant","content":" A ","weight":0.5}]}`,
		`{"messages":[{"role":"system","content":"/no_think"},{"role":"user","content":"Q"},{"role":"assistant","content":"<think>\n\n</think>\n\nA","reasoning_content":"T"},{"role":"user","content":""},{"role":"assistant","content":""}]}`,
		`{"tools":[{"type":"function","function":{"name":"f","description":"</s>","parameters":{"type":"object","properties":{}}}}],"messages":[{"role":"user","content":"Q"},` +
			`{"role":"assistant","tool_calls":[{"id":"abcdef123","type":"function","function":{"name":"f","arguments":{"x":"<|im_end|>"}}}]},{"role":"tool","content":"R","name":"f","tool_call_id":"abcdef123"},{"role":"assistant","content":"A","train":false}]}`,
		`{"messages":[{"role":"assistant","content":"A"},{"role":"assistant","content":"\u0301B"}]}`,
	} {
		for at := range 12 {
			f.Add([]byte(row), uint8(at), at%2 == 0, k%2 == 0)
		}
	}
	tok := byteTokens(f)
	templates := everyTemplate(f)
	f.Fuzz(func(t *testing.T, row []byte, at uint8, last, special bool) {
		conv, err := source.ParsePrompt(data.Position{File: "row", Line: 1}, bytes.TrimSpace(row))
		if err != nil || len(row) > 1<<14 {
			return
		}
		tmpl := templates[int(at)%len(templates)]
		o := RenderOptions{}
		if last {
			o.TrainOn = "last"
		}
		if special {
			o.System = "<s>Be brief.</s>"
		}
		all, err := tmpl.Explain(tok, conv, o)
		if err != nil {
			return
		}
		checkExplained(tok, conv, all, t.Fatalf)
	})
}
