package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"attune/data"
	"attune/data/tokenizer"
	"attune/internal/reftest"
)

// goldenRow reads the three schemas that the goldens are in.
func goldenRow(t testing.TB, line []byte) data.Conversation {
	var row struct {
		Instruction, Input, Output string
		Messages                   []struct{ Role, Content string }
		Conversations              []struct{ From, Value string }
	}
	if err := json.Unmarshal(line, &row); err != nil {
		t.Fatal(err)
	}
	var c data.Conversation
	for _, m := range row.Messages {
		c.Messages = append(c.Messages, data.Message{Role: m.Role, Content: m.Content})
	}
	for _, m := range row.Conversations {
		c.Messages = append(c.Messages, data.Message{Role: map[string]string{"human": "user", "gpt": "assistant"}[m.From], Content: m.Value})
	}
	if row.Output != "" {
		ask := row.Instruction
		if row.Input != "" {
			ask += "\n\n" + row.Input
		}
		c.Messages = []data.Message{{Role: "user", Content: ask}, {Role: "assistant", Content: row.Output}}
	}
	return c
}

func load(t testing.TB, dir string) (*Template, *tokenizer.Tokenizer) {
	tmpl, err := Resolve("auto", dir)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl, tok
}

// TestGoldens holds texts, ids and masks to those of transformers, for the first rows of the four reference runs.
func TestGoldens(t *testing.T) {
	for _, name := range []string{"llama-chatml-lora", "llama-zephyr-full", "qwen2-chatml-multiturn", "qwen3-chatml-system"} {
		t.Run(name, func(t *testing.T) {
			dir := reftest.Path(t, "goldens/"+name)
			tmpl, tok := load(t, filepath.Join(dir, "model"))
			raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want struct {
				Examples []struct {
					Text    string
					IDs     []int32
					Trained string
				}
				Greedy []struct {
					PromptIDs []int32 `json:"prompt_ids"`
				}
			}
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			var rows []data.Conversation
			for _, line := range reftest.Lines[json.RawMessage](t, filepath.Join(dir, "train.jsonl")) {
				rows = append(rows, goldenRow(t, line))
			}
			for i, w := range want.Examples {
				r, err := tmpl.Render(rows[i], RenderOptions{})
				if err == nil && r.Text != w.Text {
					t.Fatalf("row %d: text\n got %q\nwant %q", i, r.Text, w.Text)
				}
				es, err := tmpl.EncodeAll(tok, rows[i], RenderOptions{})
				if err != nil || len(es) != 1 {
					t.Fatalf("row %d: %d examples, %v", i, len(es), err)
				}
				cut, err := Cut(es[0], 384, Truncate, Names{})
				if err != nil {
					t.Fatal(err)
				}
				e := cut.Examples[0]
				if !slices.Equal(e.IDs, w.IDs) {
					t.Fatalf("row %d: ids\n got %v\nwant %v", i, e.IDs, w.IDs)
				}
				if got := mask(e); got != w.Trained {
					t.Fatalf("row %d: trained\n got %s\nwant %s", i, got, w.Trained)
				}
			}
			if len(want.Examples) == 0 {
				t.Fatal("the golden has no examples")
			}
		})
	}
}

// mask draws the trained tokens as 1.
func mask(e data.Example) string {
	var m []byte
	for _, w := range e.Weights {
		if w != 0 {
			m = append(m, '1')
		} else {
			m = append(m, '0')
		}
	}
	return string(m)
}
