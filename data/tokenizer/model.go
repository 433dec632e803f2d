package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
)

// model turns words into tokens. It does not change once made.
type model interface {
	// encode appends the tokens of the word a.s[lo:hi], which is not empty.
	encode(w *scratch, enc *Encoding, a *aligned, lo, hi int) error
	// without is the model as if the tokens of these ids were not in its vocabulary. They come out for what is unknown
	// and as a byte of a byte-level or byte-fallback vocabulary only, where nothing else stands for the text.
	without(ids *idSet) model

	id(token string) (int32, bool)
	token(id int32) (string, bool)
	size() int       // of the vocabulary: the added tokens that it lacks have ids from here on
	top() int32      // the highest id, -1 if there is none
	unknown() string // the token for what is unknown, "" = none
}

// cutter is a model that cuts a word into w.symbols, of which id, lo and hi count.
type cutter interface {
	cut(w *scratch, word string) error
}

// vocabulary is the vocab of a model that numbers tokens by an object.
type vocabulary struct {
	ids     map[string]int32
	tokens  map[int32]string
	highest int32
}

func parseVocabulary(raw json.RawMessage) (vocabulary, error) {
	var read map[string]int64
	if err := json.Unmarshal(raw, &read); err != nil {
		return vocabulary{}, fmt.Errorf("model: vocab: %w", err)
	}
	v := vocabulary{make(map[string]int32, len(read)), make(map[int32]string, len(read)), -1}
	for token, id := range read {
		if id < 0 || id >= math.MaxInt32 {
			return vocabulary{}, fmt.Errorf("model: vocab gives %q the id %d, which is not within 0 and 2^31-2", token, id)
		}
		v.ids[token] = int32(id)
		v.highest = max(v.highest, int32(id))
		if before, ok := v.tokens[int32(id)]; ok && before < token {
			continue // two tokens of one id: decoding takes the first in order, so that it does not change between runs
		}
		v.tokens[int32(id)] = token
	}
	return v, nil
}

func (v *vocabulary) id(token string) (int32, bool) {
	id, ok := v.ids[token]
	return id, ok
}

func (v *vocabulary) token(id int32) (string, bool) {
	s, ok := v.tokens[id]
	return s, ok
}

func (v *vocabulary) size() int  { return len(v.ids) }
func (v *vocabulary) top() int32 { return v.highest }

// idSet is a set of ids; nil is the empty one.
type idSet struct {
	low  []uint64       // a bit each
	rest map[int32]bool // ids from lowIDs on, as only hostile files have them
}

const lowIDs = 1 << 22

func (s *idSet) add(id int32) {
	if id >= lowIDs {
		if s.rest == nil {
			s.rest = make(map[int32]bool)
		}
		s.rest[id] = true
		return
	}
	for int(id>>6) >= len(s.low) {
		s.low = append(s.low, 0)
	}
	s.low[id>>6] |= 1 << (id & 63)
}

func (s *idSet) has(id int32) bool {
	if s == nil || id < 0 {
		return false
	}
	if id >= lowIDs {
		return s.rest[id]
	}
	return int(id>>6) < len(s.low) && s.low[id>>6]>>(id&63)&1 == 1
}

// hasAny says whether one of the ids is in the set.
func (s *idSet) hasAny(ids []int32) bool {
	for _, id := range ids {
		if s.has(id) {
			return true
		}
	}
	return false
}
