package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// ByteLevelJSON is the tokenizer.json of a byte-level vocabulary without merges: the specials have the ids from 0, the
// 256 bytes those behind them.
func ByteLevelJSON(specials []string) ([]byte, error) {
	vocab := orderedVocab(slices.Clone(specials))
	added := make([]addedToken, len(specials))
	for i, s := range specials {
		if s == "" || slices.Contains(specials[:i], s) {
			return nil, fmt.Errorf("tokenizer: special token %d, %q, is empty or there twice", i, s)
		}
		added[i] = addedToken{ID: int64(i), Content: s, Special: true}
	}
	alphabet := slices.Clone(byteAlphabet()[:])
	slices.Sort(alphabet)
	for _, r := range alphabet {
		if slices.Contains(specials, string(r)) {
			return nil, fmt.Errorf("tokenizer: special token %q stands for a byte", string(r))
		}
		vocab = append(vocab, string(r))
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	return encodeJSON(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil,
		"added_tokens": added, "normalizer": nil, "pre_tokenizer": byteLevel, "post_processor": nil, "decoder": byteLevel,
		"model": map[string]any{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": []string{},
		},
	})
}

// WriteByteLevel puts the tokenizer of ByteLevelJSON into files: tokenizer.json, tokenizer_config.json and
// special_tokens_map.json, which transformers loads. The tokens that roles names must be among the specials.
// chatTemplate may be empty.
func WriteByteLevel(put func(name string, b []byte) error, specials []string, roles Roles, chatTemplate string) error {
	main, err := ByteLevelJSON(specials)
	if err != nil {
		return err
	}
	config := map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": false, "clean_up_tokenization_spaces": false,
	}
	tokens := map[string]any{}
	for key, token := range map[string]string{"bos_token": roles.BOS, "eos_token": roles.EOS, "pad_token": roles.PAD, "unk_token": roles.UNK} {
		if token == "" {
			continue
		}
		if !slices.Contains(specials, token) {
			return fmt.Errorf("tokenizer: %s %q is not among the special tokens", key, token)
		}
		config[key], tokens[key] = token, token
	}
	if chatTemplate != "" {
		config["chat_template"] = chatTemplate
	}
	for _, file := range []struct {
		name  string
		value any
	}{{"tokenizer_config.json", config}, {"special_tokens_map.json", tokens}} {
		raw, err := encodeJSON(file.value)
		if err != nil {
			return err
		}
		if err := put(file.name, raw); err != nil {
			return fmt.Errorf("tokenizer: %w", err)
		}
	}
	if err := put("tokenizer.json", main); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	return nil
}

func encodeJSON(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return b.Bytes(), nil
}

// orderedVocab is written as an object from token to its index, in order of index.
type orderedVocab []string

// MarshalJSON writes the vocabulary.
func (v orderedVocab) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, token := range v {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := json.Marshal(token)
		if err != nil {
			return nil, err
		}
		b = append(b, key...)
		b = fmt.Appendf(b, ":%d", i)
	}
	return append(b, '}'), nil
}
