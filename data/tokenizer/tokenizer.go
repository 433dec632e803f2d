// Package tokenizer reads Hugging Face tokenizer.json files and encodes and decodes text exactly as the tokenizers
// library does: byte-level BPE and SentencePiece-style BPE with byte fallback, their normalizers, pre-tokenizers, added
// tokens, post-processors and decoders. Every token carries the bytes of the original text that it covers.
package tokenizer

import "errors"

// Span is a range of bytes of a text; End is exclusive.
type Span struct{ Start, End int }

// Options says how a text is encoded.
type Options struct {
	// AddSpecial adds the post-processor's own tokens (beginning of sequence and the like), which Hugging Face calls
	// add_special_tokens.
	AddSpecial bool
	// Literal holds the ranges of the text, sorted and not overlapping, that are data: an added token that overlaps one
	// is encoded as plain text. With nil, added tokens are recognised everywhere.
	Literal []Span
}

// Encoding is a text as token ids. Offsets[i] is the range of bytes of the text that IDs[i] covers; tokens of the
// post-processor have an empty range at the beginning or the end.
type Encoding struct {
	IDs     []int32
	Offsets []Span
}

// Tokenizer is one tokenizer.json. It does not change after it is read and is safe for concurrent use.
type Tokenizer struct{}

// Load reads dir/tokenizer.json and, where present, dir/tokenizer_config.json and dir/special_tokens_map.json.
func Load(dir string) (*Tokenizer, error) { return nil, errors.New("tokenizer: not built yet") }

// Parse reads a tokenizer from the bytes of tokenizer.json and of tokenizer_config.json (nil if there is none).
func Parse(tokenizerJSON, configJSON []byte) (*Tokenizer, error) {
	return nil, errors.New("tokenizer: not built yet")
}

// Encode turns a text into token ids with the bytes that each covers.
func (t *Tokenizer) Encode(text string, o Options) (Encoding, error) { return Encoding{}, nil }

// Decode turns token ids into text as the tokenizers library's decode does; skipSpecial leaves out special tokens.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string { return "" }

// Stream decodes token by token.
type Stream struct{}

// NewStream begins decoding token by token. The texts it returns, joined, equal Decode of all the ids.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream { return &Stream{} }

// Push adds a token and returns the text that it completes, which never ends within a character.
func (s *Stream) Push(id int32) string { return "" }

// Flush ends the text and returns what was held back.
func (s *Stream) Flush() string { return "" }

// VocabSize is the highest id plus one.
func (t *Tokenizer) VocabSize() int { return 0 }

// ID is the id of a token by its string, added tokens included.
func (t *Tokenizer) ID(token string) (int32, bool) { return 0, false }

// Token is the string of a token as it stands in tokenizer.json.
func (t *Tokenizer) Token(id int32) (string, bool) { return "", false }

// IsSpecial says whether id is an added token marked special.
func (t *Tokenizer) IsSpecial(id int32) bool { return false }

// BOS is the beginning-of-sequence token that the configuration names.
func (t *Tokenizer) BOS() (tok string, id int32, ok bool) { return }

// EOS is the end-of-sequence token that the configuration names.
func (t *Tokenizer) EOS() (tok string, id int32, ok bool) { return }

// PAD is the padding token that the configuration names.
func (t *Tokenizer) PAD() (tok string, id int32, ok bool) { return }

// UNK is the unknown token that the configuration or the model names.
func (t *Tokenizer) UNK() (tok string, id int32, ok bool) { return }

// SpecialTokens lists the contents of the added tokens marked special, by id.
func (t *Tokenizer) SpecialTokens() []string { return nil }

// SHA256 is the hash of the bytes of tokenizer.json, in hexadecimal.
func (t *Tokenizer) SHA256() string { return "" }

// WriteByteLevel writes a byte-level tokenizer without merges to dir: tokenizer.json, tokenizer_config.json and
// special_tokens_map.json. The specials get the ids from 0, the 256 bytes those after them; roles (bos_token, eos_token,
// pad_token, unk_token) name which special is what. chatTemplate may be empty.
func WriteByteLevel(dir string, specials []string, roles map[string]string, chatTemplate string) error {
	return errors.New("tokenizer: not built yet")
}
