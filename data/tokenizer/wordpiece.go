package tokenizer

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// wordPiece cuts a word greedily, from the left, into the longest pieces (Wu et al., arXiv:1609.08144), as the
// tokenizers library does it: a word of which a part is no piece is unknown as a whole.
type wordPiece struct {
	vocabulary
	pieces   *trie
	inner    int32 // the node behind the prefix of pieces within a word, -1 = no piece has it
	maxChars int   // a word of more characters is unknown
	unk      string
	unkID    int32 // -1 = not in the vocabulary: a word that is unknown is an error
	banned   *idSet
}

func parseWordPiece(f *modelFile) (model, error) {
	if absent(f.Vocab) || f.Unk == nil || f.Prefix == nil || f.MaxChars == nil {
		return nil, errors.New("model: WordPiece needs vocab, unk_token, continuing_subword_prefix and max_input_chars_per_word")
	}
	v, err := parseVocabulary(f.Vocab)
	if err != nil {
		return nil, err
	}
	m := &wordPiece{vocabulary: v, maxChars: *f.MaxChars, unk: *f.Unk, unkID: v.idOrNone(*f.Unk)}
	pieces, ids := make([]string, 0, len(v.ids)), make([]int32, 0, len(v.ids))
	for piece, id := range v.ids {
		pieces, ids = append(pieces, piece), append(ids, id)
	}
	if m.pieces, err = pieceTrie(pieces, ids); err != nil {
		return nil, err
	}
	for i := 0; i < len(*f.Prefix) && m.inner >= 0; i++ {
		m.inner = m.pieces.step(m.inner, (*f.Prefix)[i])
	}
	return m, nil
}

func (v *vocabulary) idOrNone(token string) int32 {
	if id, ok := v.ids[token]; ok {
		return id
	}
	return -1
}

func (m *wordPiece) encode(w *scratch, enc *Encoding, a *aligned, lo, hi int) error {
	word, from := a.s[lo:hi], len(enc.IDs)
	known := len(word) <= m.maxChars || utf8.RuneCountInString(word) <= m.maxChars
	for i, node := 0, int32(0); i < len(word) && known; node = m.inner {
		id, n := m.longest(node, word[i:])
		if known = n > 0; known {
			enc.add(id, a.span(int32(lo+i), int32(lo+i+n)))
			i += n
		}
	}
	if known {
		return nil
	}
	enc.IDs, enc.Offsets = enc.IDs[:from], enc.Offsets[:from]
	if m.unkID < 0 {
		return fmt.Errorf("model: unk_token %q is not in the vocabulary, and the word %.40q is made of no pieces", m.unk, word)
	}
	enc.add(m.unkID, a.span(int32(lo), int32(hi)))
	return nil
}

// longest is the longest piece below a node that s begins with; n = 0 if there is none.
func (m *wordPiece) longest(node int32, s string) (id int32, n int) {
	for i := 0; i < len(s) && node >= 0; i++ {
		if node = m.pieces.step(node, s[i]); node < 0 {
			break
		}
		if v := m.pieces.value[node]; v >= 0 && !m.banned.has(v) {
			id, n = v, i+1
		}
	}
	return id, n
}

func (m *wordPiece) without(ids *idSet) model {
	c := *m
	c.banned = ids
	return &c
}

func (m *wordPiece) unknown() string { return m.unk }
