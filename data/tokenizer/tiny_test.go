package tokenizer

import (
	"encoding/json"
	"testing"
)

// tiny builds tokenizers from parts; what is nil is absent.
type tiny struct {
	Added         []addedToken
	Normalizer    any
	PreTokenizer  any
	PostProcessor any
	Decoder       any
	Model         map[string]any
}

type obj = map[string]any

func (p tiny) json(t testing.TB) []byte {
	t.Helper()
	model := obj{"type": "BPE"}
	for k, v := range p.Model {
		model[k] = v
	}
	raw, err := json.Marshal(obj{
		"version": "1.0", "added_tokens": p.Added, "normalizer": p.Normalizer, "pre_tokenizer": p.PreTokenizer,
		"post_processor": p.PostProcessor, "decoder": p.Decoder, "model": model,
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (p tiny) parse(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := Parse(p.json(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// vocab numbers tokens from 0.
func vocab(tokens ...string) obj {
	v := obj{}
	for _, s := range tokens {
		if _, ok := v[s]; !ok {
			v[s] = len(v)
		}
	}
	return v
}

// charVocab has each character of the given text, then the tokens.
func charVocab(chars string, tokens ...string) obj {
	var all []string
	for _, r := range chars {
		all = append(all, string(r))
	}
	return vocab(append(all, tokens...)...)
}

var byteLevelPart = obj{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}

// byteBPE is a byte-level tokenizer with some merges and two added tokens; normalizer may be nil.
func byteBPE(normalizer any) tiny {
	v := obj{}
	for b := range 256 {
		v[byteToken(byte(b))] = len(v)
	}
	merges := []string{"h e", "l l", "he ll", "hell o", "Ġ hello", "Ġ Ġ", "a a", "aa aa", "Ã ©", "ð Ł", "ðŁ ¦"}
	for _, m := range []string{"he", "ll", "hell", "hello", "Ġhello", "ĠĠ", "aa", "aaaa", "Ã©", "ðŁ", "ðŁ¦"} {
		v[m] = len(v)
	}
	return tiny{
		Added: []addedToken{
			{Content: "<|a|>", Special: true},
			{Content: "<|ab|>", Special: true, LStrip: true},
			{Content: "<think>"},
		},
		Normalizer: normalizer, PreTokenizer: byteLevelPart, Decoder: byteLevelPart,
		Model: obj{"vocab": v, "merges": merges},
	}
}

// sentencePiece is a tokenizer in the manner of Llama 2; half says whether only the bytes below 0x80 have tokens.
func sentencePiece(half bool) tiny {
	tokens := []string{"<unk>", "<s>", "</s>"}
	n := 256
	if half {
		n = 128
	}
	for b := range n {
		tokens = append(tokens, "<0x"+string("0123456789ABCDEF"[b>>4])+string("0123456789ABCDEF"[b&15])+">")
	}
	for _, r := range "▁helowrd" {
		tokens = append(tokens, string(r))
	}
	tokens = append(tokens, "he", "ll", "hell", "hello", "▁hello", "▁▁", "wo")
	return tiny{
		Added: []addedToken{{Content: "<unk>", Special: true}, {Content: "<s>", Special: true}, {Content: "</s>", Special: true}},
		Normalizer: obj{"type": "Sequence", "normalizers": []any{
			obj{"type": "Prepend", "prepend": "▁"},
			obj{"type": "Replace", "pattern": obj{"String": " "}, "content": "▁"},
		}},
		PostProcessor: obj{
			"type":           "TemplateProcessing",
			"single":         []any{obj{"SpecialToken": obj{"id": "<s>", "type_id": 0}}, obj{"Sequence": obj{"id": "A", "type_id": 0}}},
			"special_tokens": obj{"<s>": obj{"id": "<s>", "ids": []int{1}, "tokens": []string{"<s>"}}},
		},
		Decoder: obj{"type": "Sequence", "decoders": []any{
			obj{"type": "Replace", "pattern": obj{"String": "▁"}, "content": " "},
			obj{"type": "ByteFallback"}, obj{"type": "Fuse"},
			obj{"type": "Strip", "content": " ", "start": 1, "stop": 0},
		}},
		Model: obj{
			"vocab": vocab(tokens...), "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
			"merges": []string{"h e", "l l", "he ll", "hell o", "▁ hello", "▁ ▁", "w o"},
		},
	}
}

func encode(t testing.TB, tok *Tokenizer, text string, o Options) Encoding {
	t.Helper()
	enc, err := tok.Encode(text, o)
	if err != nil {
		t.Fatalf("encode %q: %v", text, err)
	}
	return enc
}

// strings are the tokens of an encoding as they stand in the vocabulary.
func (e Encoding) strings(tok *Tokenizer) []string {
	all := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		all[i], _ = tok.Token(id)
	}
	return all
}
