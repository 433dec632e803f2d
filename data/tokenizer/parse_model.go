package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// modelFile is "model" of tokenizer.json, for every type of model.
type modelFile struct {
	Type         *string         `json:"type"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       json.RawMessage `json:"merges"`
	Dropout      *float64        `json:"dropout"`
	Unk          *string         `json:"unk_token"`
	Prefix       *string         `json:"continuing_subword_prefix"`
	Suffix       *string         `json:"end_of_word_suffix"`
	FuseUnk      bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	MaxChars     *int            `json:"max_input_chars_per_word"`
	UnkID        *int64          `json:"unk_id"`
}

// kind is the type of the model. Old files lack it; what else stands there tells, in the order in which the tokenizers
// library tries.
func (f *modelFile) kind() (string, error) {
	isList := bytes.HasPrefix(f.Vocab, []byte("["))
	switch {
	case f.Type != nil:
		return *f.Type, nil
	case absent(f.Vocab):
		return "", errors.New("model has no vocab")
	case !absent(f.Merges):
		return "BPE", nil
	case f.Unk != nil && f.Prefix != nil && f.MaxChars != nil && !isList:
		return "WordPiece", nil
	case f.Unk != nil && !isList:
		return "WordLevel", nil
	case isList:
		return "Unigram", nil
	}
	return "", errors.New("model has no type, and is none of BPE (it has no merges), WordPiece and WordLevel (no unk_token) and Unigram (its vocab is no list)")
}

// parseModel reads the model; bytesLast says that the last pre-tokenizer is ByteLevel. asBytes says that the model does
// that step itself.
func parseModel(raw json.RawMessage, bytesLast bool) (m model, asBytes bool, err error) {
	if absent(raw) {
		return nil, false, errors.New("model is missing")
	}
	var f modelFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, false, fmt.Errorf("model: %w", err)
	}
	if err := fewEntries("model: vocab", f.Vocab); err != nil {
		return nil, false, err
	}
	if err := fewEntries("model: merges", f.Merges); err != nil {
		return nil, false, err
	}
	kind, err := f.kind()
	if err != nil {
		return nil, false, err
	}
	switch kind {
	case "BPE":
		return parseBPE(&f, bytesLast)
	case "WordPiece":
		m, err = parseWordPiece(&f)
	case "WordLevel":
		m, err = parseWordLevel(&f)
	case "Unigram":
		m, err = parseUnigram(&f)
	default:
		err = fmt.Errorf("model of type %q is not supported; BPE, Unigram, WordPiece and WordLevel are", kind)
	}
	return m, false, err
}

func parseBPE(f *modelFile, bytesLast bool) (model, bool, error) {
	if absent(f.Vocab) || absent(f.Merges) {
		return nil, false, errors.New("model has no vocab or no merges, so it is not BPE")
	}
	if f.Dropout != nil && *f.Dropout != 0 {
		return nil, false, fmt.Errorf("model: dropout is %v, which makes tokens a matter of chance; set it to null", *f.Dropout)
	}
	v, err := parseVocabulary(f.Vocab)
	if err != nil {
		return nil, false, err
	}
	merges, err := parseMerges(f.Merges)
	if err != nil {
		return nil, false, err
	}
	m := &bpe{
		vocabulary:   v,
		unk:          text(f.Unk),
		prefix:       text(f.Prefix),
		suffix:       text(f.Suffix),
		fuseUnk:      f.FuseUnk,
		byteFallback: f.ByteFallback,
		ignoreMerges: f.IgnoreMerges,
	}
	asBytes, err := m.prepare(bytesLast, merges)
	return m, asBytes, err
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// parseMerges reads ["a b", ...] or [["a", "b"], ...].
func parseMerges(raw json.RawMessage) ([][2]string, error) {
	var pairs [][]string
	inner := bytes.TrimLeft(raw, " \t\r\n[")
	if len(inner) > 0 && inner[0] == '"' && bytes.Count(raw[:len(raw)-len(inner)], []byte("[")) == 1 {
		var lines []string
		if err := json.Unmarshal(raw, &lines); err != nil {
			return nil, fmt.Errorf("model: merges: %w", err)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "#version") {
				pairs = append(pairs, strings.Split(line, " "))
			}
		}
	} else if err := json.Unmarshal(raw, &pairs); err != nil {
		return nil, fmt.Errorf("model: merges: %w", err)
	}
	merges := make([][2]string, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return nil, fmt.Errorf("model: merge %d has %d parts, not 2", i, len(p))
		}
		merges[i] = [2]string{p[0], p[1]}
	}
	return merges, nil
}
