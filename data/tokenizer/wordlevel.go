package tokenizer

import (
	"errors"
	"fmt"
)

// wordLevel knows whole words.
type wordLevel struct {
	vocabulary
	unk    string
	unkID  int32 // -1 = not in the vocabulary: a word that is unknown is an error
	banned *idSet
}

func parseWordLevel(f *modelFile) (model, error) {
	if absent(f.Vocab) || f.Unk == nil {
		return nil, errors.New("model: WordLevel needs vocab and unk_token")
	}
	v, err := parseVocabulary(f.Vocab)
	if err != nil {
		return nil, err
	}
	return &wordLevel{vocabulary: v, unk: *f.Unk, unkID: v.idOrNone(*f.Unk)}, nil
}

func (m *wordLevel) encode(_ *scratch, enc *Encoding, a *aligned, lo, hi int) error {
	id, ok := m.ids[a.s[lo:hi]]
	if !ok || m.banned.has(id) {
		if id = m.unkID; id < 0 {
			return fmt.Errorf("model: neither the word %.40q nor unk_token %q is in the vocabulary", a.s[lo:hi], m.unk)
		}
	}
	enc.add(id, a.span(int32(lo), int32(hi)))
	return nil
}

func (m *wordLevel) without(ids *idSet) model {
	c := *m
	c.banned = ids
	return &c
}

func (m *wordLevel) unknown() string { return m.unk }
