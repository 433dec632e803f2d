package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Bounds on tokenizer.json, some times what published ones have.
const (
	maxFile    = 64 << 20 // bytes; the largest has 33 MB
	maxRoles   = 16 << 20 // bytes of each of the files that name tokens with a role
	maxEntries = 1 << 21  // of the vocabulary, the merges, the added tokens; the largest have 900,000
	maxPart    = 2 << 20  // bytes of what stands beside the model; a precompiled_charsmap has 320,000
	maxSteps   = 512      // of a normalizer, a pre-tokenizer or a decoder, all its sequences together
	maxAround  = 1024     // tokens that stand before and after a text
)

// fewEntries refuses a list or an object of too many members, before anything is kept of it.
func fewEntries(what string, raw json.RawMessage) error {
	if bytes.Count(raw, []byte(",")) < maxEntries {
		return nil
	}
	entries, depth, text := 1, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 1:
			entries++
		}
	}
	if entries > maxEntries {
		return fmt.Errorf("%s has more than %d entries", what, maxEntries)
	}
	return nil
}

// checkParts holds the file to the bounds of its parts.
func (f *file) checkParts() error {
	for _, p := range []struct {
		what string
		raw  json.RawMessage
	}{{"normalizer", f.Normalizer}, {"pre_tokenizer", f.PreTokenizer}, {"post_processor", f.PostProcessor}, {"decoder", f.Decoder}} {
		if len(p.raw) > maxPart {
			return fmt.Errorf("%s takes %d bytes of the file; at most %d are expected", p.what, len(p.raw), maxPart)
		}
	}
	return fewEntries("added_tokens", f.AddedTokens)
}
