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

// Stops returns the ids that end a turn, ascending: OwnStops, and the special token that the template writes behind an
// assistant turn, found by rendering one. t may be nil.
func (t *Template) Stops(tok Tokenizer, modelDir string) ([]int32, error) {
	ids, err := OwnStops(tok, modelDir)
	if err != nil {
		return nil, err
	}
	if t != nil {
		if end, err := t.turnEnd(tok); err == nil && end != "" {
			if id, ok := tok.ID(end); ok && !slices.Contains(ids, id) {
				ids = append(ids, id)
				slices.Sort(ids)
			}
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("nothing says which token ends a turn; set eos_token in tokenizer_config.json or eos_token_id in generation_config.json")
	}
	return ids, nil
}

// OwnStops returns the ids at which whoever serves the model stops, ascending: eos_token_id of the model directory's
// generation_config.json, which may be absent, and the tokenizer's end token.
func OwnStops(tok Tokenizer, modelDir string) ([]int32, error) {
	config, err := readGenerationConfig(modelDir)
	if err != nil {
		return nil, err
	}
	ids := config.eos
	if _, id, ok := tok.EOS(); ok {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// turnEnd is the special token behind an assistant turn, "" if the template writes none. The error is that of a template
// that renders no question with its answer.
func (t *Template) turnEnd(tok Tokenizer) (string, error) {
	probe := data.Conversation{Messages: []data.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}}}
	c, err := t.newConversation(probe, t.about(tok).fill(RenderOptions{}), false)
	if err != nil {
		return "", err
	}
	r, err := c.render(2, false)
	if err != nil {
		return "", err
	}
	p := find(1, r)
	if p.last < 0 {
		return "", nil
	}
	end := c.end(1, r, p.last, p.tail)
	return r.Text[end.Start:end.End], nil
}

// generationConfig is what a model directory's generation_config.json says.
type generationConfig struct {
	found bool
	eos   []int32 // eos_token_id
}

// readGenerationConfig reads eos_token_id, a number or a list of numbers.
func readGenerationConfig(modelDir string) (generationConfig, error) {
	path := filepath.Join(modelDir, "generation_config.json")
	raw, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return generationConfig{}, nil
	}
	if err != nil {
		return generationConfig{}, fmt.Errorf("read end tokens: %w", err)
	}
	var c struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if err := json.Unmarshal([]byte(raw), &c); err != nil {
		return generationConfig{}, fmt.Errorf("read %s: %w", path, err)
	}
	g := generationConfig{found: true}
	var one int32
	switch {
	case len(c.EOS) == 0 || string(c.EOS) == "null":
	case json.Unmarshal(c.EOS, &one) == nil:
		g.eos = []int32{one}
	case json.Unmarshal(c.EOS, &g.eos) != nil:
		return generationConfig{}, fmt.Errorf("read %s: eos_token_id is neither a number nor a list of numbers", path)
	}
	return g, nil
}
