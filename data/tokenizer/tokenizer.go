// Package tokenizer reads Hugging Face tokenizer.json files and encodes and decodes text exactly as the tokenizers
// library does: the models BPE (byte-level, with byte fallback, with prefixes and suffixes), Unigram, WordPiece and
// WordLevel, their normalizers, pre-tokenizers, added tokens, post-processors and decoders. Every token carries the bytes
// of the original text that it covers. What a file asks for and this package does not do is an error that names it;
// docs/text.md says what it is held to.
//
// The truncation and padding that a file may carry are left out, as transformers leaves them out.
package tokenizer

import (
	"sync"
)

// Span is a range of bytes of a text; End is exclusive.
type Span struct{ Start, End int }

// Options says how a text is encoded.
type Options struct {
	// AddSpecial adds the post-processor's own tokens (beginning of sequence and the like), which Hugging Face calls
	// add_special_tokens.
	AddSpecial bool
	// Literal holds the ranges of the text, sorted and not overlapping, that are data: an added token that overlaps one
	// is encoded as plain text, and none takes blanks from one. Nor does the model make a special token of data, though
	// its vocabulary may hold it. With nil, added tokens are recognised everywhere.
	Literal []Span
}

// Encoding is a text as token ids. Offsets[i] is the range of bytes of the text that IDs[i] covers. It is exact where
// the text was not changed by a normalizer: a byte-level token may begin within a character. What a normalizer put in
// has an empty range where it stands, and the tokens of the post-processor one at the beginning or the end.
type Encoding struct {
	IDs     []int32
	Offsets []Span
}

// Tokenizer is one tokenizer.json. It does not change after it is read and is safe for concurrent use.
type Tokenizer struct {
	exact         *addedIn // added tokens matched against the text as it is
	normalized    *addedIn // those matched against the normalized text
	normalizers   normalizers
	preTokenizers []preTokenizer
	model         model
	plain         model   // the model for data: it makes no special token
	specialIDs    *idSet  // ids of the added tokens marked special
	before, after []int32 // of the post-processor
	decoder       decoder

	added   map[string]int32
	byID    map[int32]*addedToken
	forms   map[int32]string // what decoding reads for added tokens that a normalizer changes
	special map[string]bool  // by content
	size    int
	roles   Roles
	sha256  string

	pool sync.Pool // of *scratch
}

// Roles names the tokens with a role; "" = none.
type Roles struct{ BOS, EOS, PAD, UNK string }

// VocabSize is the highest id plus one.
func (t *Tokenizer) VocabSize() int { return t.size }

// ID is the id of a token by its string, added tokens included.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.added[token]; ok {
		return id, true
	}
	return t.model.id(token)
}

// Token is the string of a token as it stands in tokenizer.json: the tokens of a byte-level vocabulary are written in
// characters that stand for bytes.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if a, ok := t.byID[id]; ok {
		return a.Content, true
	}
	return t.model.token(id)
}

// IsSpecial says whether id is an added token marked special.
func (t *Tokenizer) IsSpecial(id int32) bool {
	a, ok := t.byID[id]
	return ok && a.Special
}

// BOS is the beginning-of-sequence token that the configuration names.
func (t *Tokenizer) BOS() (tok string, id int32, ok bool) { return t.role(t.roles.BOS) }

// EOS is the end-of-sequence token that the configuration names.
func (t *Tokenizer) EOS() (tok string, id int32, ok bool) { return t.role(t.roles.EOS) }

// PAD is the padding token that the configuration names.
func (t *Tokenizer) PAD() (tok string, id int32, ok bool) { return t.role(t.roles.PAD) }

// UNK is the unknown token that the configuration or, failing that, the model names.
func (t *Tokenizer) UNK() (tok string, id int32, ok bool) { return t.role(t.roles.UNK) }

func (t *Tokenizer) role(token string) (string, int32, bool) {
	if token == "" {
		return "", 0, false
	}
	id, ok := t.ID(token)
	return token, id, ok
}

// SHA256 is the hash of the bytes of tokenizer.json, in hexadecimal.
func (t *Tokenizer) SHA256() string { return t.sha256 }
