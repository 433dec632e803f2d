package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"attune/data"
)

// Stops returns the ids that end a turn, ascending: eos_token_id of the model directory's generation_config.json (which
// may be absent), the tokenizer's end token, and the special token that the template writes behind an assistant turn,
// found by rendering one. t may be nil.
func (t *Template) Stops(tok Tokenizer, modelDir string) ([]int32, error) {
	ids, err := generationStops(modelDir)
	if err != nil {
		return nil, err
	}
	if _, id, ok := tok.EOS(); ok {
		ids = append(ids, id)
	}
	if t != nil {
		if end := t.turnEnd(tok); end != "" {
			if id, ok := tok.ID(end); ok {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil, errors.New("nothing says which token ends a turn; set eos_token in tokenizer_config.json or eos_token_id in generation_config.json")
	}
	return ids, nil
}

// turnEnd is the special token behind an assistant turn, "" if the template writes none.
func (t *Template) turnEnd(tok Tokenizer) string {
	probe := data.Conversation{Messages: []data.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}}}
	c, err := t.newConversation(probe, t.about(tok).fill(RenderOptions{}), false)
	if err != nil {
		return ""
	}
	r, err := c.render(2, false)
	if err != nil {
		return ""
	}
	p := find(1, r)
	if p.last < 0 {
		return ""
	}
	end := c.end(1, r, p.last, p.tail)
	return r.Text[end.Start:end.End]
}

// generationStops reads eos_token_id, a number or a list of numbers.
func generationStops(modelDir string) ([]int32, error) {
	path := filepath.Join(modelDir, "generation_config.json")
	raw, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read end tokens: %w", err)
	}
	var c struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if err := json.Unmarshal([]byte(raw), &c); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(c.EOS) == 0 || string(c.EOS) == "null" {
		return nil, nil
	}
	var one int32
	if json.Unmarshal(c.EOS, &one) == nil {
		return []int32{one}, nil
	}
	var several []int32
	if err := json.Unmarshal(c.EOS, &several); err != nil {
		return nil, fmt.Errorf("read %s: eos_token_id is neither a number nor a list of numbers", path)
	}
	return several, nil
}
