package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
)

var errAround = fmt.Errorf("post_processor puts more than %d tokens around a text", maxAround)

// parsePostProcessor reads which tokens stand before and after a text, of one sequence.
func parsePostProcessor(raw json.RawMessage, depth int) (before, after []int32, err error) {
	var f struct {
		Type          string            `json:"type"`
		Processors    []json.RawMessage `json:"processors"`
		Single        []templatePiece   `json:"single"`
		SpecialTokens map[string]struct {
			IDs []int64 `json:"ids"`
		} `json:"special_tokens"`
		CLS json.RawMessage `json:"cls"`
		SEP json.RawMessage `json:"sep"`
	}
	if absent(raw) {
		return nil, nil, nil
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, nil, fmt.Errorf("post_processor: %w", err)
	}
	switch f.Type {
	case "ByteLevel": // trims offsets only; ours stay exact
		return nil, nil, nil
	case "Sequence":
		if depth >= maxNesting {
			return nil, nil, fmt.Errorf("post_processor: sequences are nested more than %d deep", maxNesting)
		}
		for i, p := range f.Processors {
			b, a, err := parsePostProcessor(p, depth+1)
			if err != nil {
				return nil, nil, fmt.Errorf("post_processor Sequence, part %d: %w", i, err)
			}
			if before, after = append(b, before...), append(after, a...); len(before)+len(after) > maxAround {
				return nil, nil, errAround
			}
		}
		return before, after, nil
	case "RobertaProcessing", "BertProcessing":
		if before, err = namedID(f.CLS); err != nil {
			return nil, nil, fmt.Errorf("post_processor %s: cls: %w", f.Type, err)
		}
		if after, err = namedID(f.SEP); err != nil {
			return nil, nil, fmt.Errorf("post_processor %s: sep: %w", f.Type, err)
		}
		return before, after, nil
	case "TemplateProcessing":
	default:
		return nil, nil, fmt.Errorf("post_processor of type %q is not supported", f.Type)
	}
	texts := 0
	for i, p := range f.Single {
		switch {
		case p.Sequence != nil && p.Sequence.ID == "A":
			texts++
		case p.SpecialToken != nil:
			token, ok := f.SpecialTokens[p.SpecialToken.ID]
			if !ok {
				return nil, nil, fmt.Errorf("post_processor TemplateProcessing: single has %q, which special_tokens lacks", p.SpecialToken.ID)
			}
			ids, err := checkIDs(token.IDs)
			if err != nil {
				return nil, nil, fmt.Errorf("post_processor TemplateProcessing: %q: %w", p.SpecialToken.ID, err)
			}
			if texts == 0 {
				before = append(before, ids...)
			} else {
				after = append(after, ids...)
			}
			if len(before)+len(after) > maxAround {
				return nil, nil, errAround
			}
		default:
			return nil, nil, fmt.Errorf("post_processor TemplateProcessing: piece %d of single is neither the text A nor a token", i)
		}
	}
	if texts != 1 {
		return nil, nil, fmt.Errorf("post_processor TemplateProcessing: single has the text %d times, not once", texts)
	}
	return before, after, nil
}

// templatePiece is {"Sequence": {"id": "A"}} or {"SpecialToken": {"id": "<s>"}}.
type templatePiece struct {
	Sequence     *struct{ ID string }
	SpecialToken *struct{ ID string }
}

// namedID reads ["<s>", 0].
func namedID(raw json.RawMessage) ([]int32, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	if len(parts) != 2 {
		return nil, fmt.Errorf("%d parts, not a token and its id", len(parts))
	}
	var id int64
	if err := json.Unmarshal(parts[1], &id); err != nil {
		return nil, err
	}
	return checkIDs([]int64{id})
}

func checkIDs(ids []int64) ([]int32, error) {
	out := make([]int32, len(ids))
	for i, id := range ids {
		if id < 0 || id >= math.MaxInt32 {
			return nil, fmt.Errorf("id %d is not within 0 and 2^31-2", id)
		}
		out[i] = int32(id)
	}
	return out, nil
}
