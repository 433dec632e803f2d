package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// unigram is the unigram language model (Kudo, arXiv:1804.10959) as the tokenizers library does it: of all ways to cut a
// word into pieces, the one whose scores have the highest sum.
type unigram struct {
	pieces       *trie    // ids by piece
	strings      []string // pieces by id
	scores       []float64
	unkID        int32 // -1 = none: a character without a piece is an error
	unkScore     float64
	byteFallback bool
	bytes        [256]int32 // the tokens <0x00> to <0xFF>, -1 = not in the vocabulary
	banned       *idSet     // pieces that are not used
	cache        *wordCache
}

// unkPenalty is how far an unknown character scores below the worst piece.
const unkPenalty = 10

func parseUnigram(f *modelFile) (model, error) {
	var vocab []scored
	if absent(f.Vocab) {
		return nil, errors.New("model: Unigram has no vocab")
	}
	if err := json.Unmarshal(f.Vocab, &vocab); err != nil {
		return nil, fmt.Errorf("model: vocab: %w", err)
	}
	m := &unigram{
		strings: make([]string, len(vocab)), scores: make([]float64, len(vocab)),
		unkID: -1, byteFallback: f.ByteFallback, cache: newWordCache(),
	}
	if f.UnkID != nil {
		if *f.UnkID < 0 || *f.UnkID >= int64(len(vocab)) {
			return nil, fmt.Errorf("model: unk_id is %d, and the vocabulary has %d pieces", *f.UnkID, len(vocab))
		}
		m.unkID = int32(*f.UnkID)
	}
	ids, least := make([]int32, len(vocab)), 0.0
	for i, v := range vocab {
		ids[i], m.strings[i], m.scores[i] = int32(i), v.piece, float64(v.score)
		if i == 0 || m.scores[i] < least {
			least = m.scores[i]
		}
	}
	m.unkScore = least - unkPenalty
	var err error
	if m.pieces, err = pieceTrie(m.strings, ids); err != nil {
		return nil, err
	}
	for b := range m.bytes {
		m.bytes[b] = -1
		if id, ok := m.pieces.find(fmt.Sprintf("<0x%02X>", b)); ok {
			m.bytes[b] = id
		}
	}
	return m, nil
}

// pieceTrie is the trie of a vocabulary, within the bounds of one.
func pieceTrie(pieces []string, ids []int32) (*trie, error) {
	total := 0
	for _, p := range pieces {
		if len(p) > maxPiece {
			return nil, fmt.Errorf("model: vocab has a piece of %d bytes, more than the %d that one may have", len(p), maxPiece)
		}
		if total += len(p); total > maxAllPieces {
			return nil, fmt.Errorf("model: all pieces of vocab together have more than %d bytes", maxAllPieces)
		}
	}
	return newTrie(pieces, ids), nil
}

func (m *unigram) encode(w *scratch, enc *Encoding, a *aligned, lo, hi int) error {
	return m.cache.encode(m, w, enc, a, lo, hi)
}

// pathEnd is the best way to cut the bytes before a place: the last piece and where it begins, -1 = there is no way yet.
type pathEnd struct {
	score float64
	from  int32
	id    int32
}

// cut finds the best path (Viterbi).
func (m *unigram) cut(w *scratch, word string) error {
	n := len(word)
	best := slices.Grow(w.path[:0], n+1)[:n+1]
	w.path = best
	for i := range best {
		best[i] = pathEnd{from: -1}
	}
	for i := 0; i < n; {
		here := best[i].score
		_, size := utf8.DecodeRuneInString(word[i:])
		single := false // whether this character is a piece
		node := int32(0)
		for k := i; k < n; k++ {
			if node = m.pieces.step(node, word[k]); node < 0 {
				break
			}
			id := m.pieces.value[node]
			if id < 0 || m.banned.has(id) {
				continue
			}
			best[k+1].offer(here+m.scores[id], i, id)
			single = single || k+1 == i+size
		}
		if !single && best[i+size].offer(here+m.unkScore, i, m.unkID) && m.unkID < 0 {
			return fmt.Errorf("model: %q is not in the vocabulary, and there is no unk_id", word[i:i+size])
		}
		i += size
	}
	m.trace(w, word)
	return nil
}

// offer takes a way to a place if it is the first one or better than that before. Of equal ones the first stays.
func (p *pathEnd) offer(score float64, from int, id int32) bool {
	if p.from >= 0 && score <= p.score {
		return false
	}
	*p = pathEnd{score, int32(from), id}
	return true
}

// trace turns the best path into symbols. Unknown pieces side by side become one.
func (m *unigram) trace(w *scratch, word string) {
	w.symbols = w.symbols[:0]
	for hi := len(word); hi > 0; {
		lo := int(w.path[hi].from)
		if id := w.path[hi].id; id != m.unkID {
			w.add(id, lo, hi)
			hi = lo
			continue
		}
		for lo > 0 && w.path[lo].id == m.unkID {
			lo = int(w.path[lo].from)
		}
		m.addUnknown(w, word, lo, hi)
		hi = lo
	}
	slices.Reverse(w.symbols)
}

// addUnknown adds the tokens of word[lo:hi], the last first: a piece after all, where all of it is one, or its bytes, or
// the unknown token.
func (m *unigram) addUnknown(w *scratch, word string, lo, hi int) {
	if id, ok := m.pieces.find(word[lo:hi]); ok && !m.banned.has(id) {
		w.add(id, lo, hi)
		return
	}
	hasAll := m.byteFallback
	for i := lo; i < hi && hasAll; i++ {
		hasAll = m.bytes[word[i]] >= 0
	}
	if !hasAll {
		w.add(m.unkID, lo, hi)
		return
	}
	for i := hi - 1; i >= lo; i-- {
		w.add(m.bytes[word[i]], i, i+1)
	}
}

func (m *unigram) without(ids *idSet) model {
	c := *m
	c.banned, c.cache = ids, nil
	return &c
}

func (m *unigram) id(token string) (int32, bool) { return m.pieces.find(token) }

func (m *unigram) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(m.strings) {
		return "", false
	}
	return m.strings[id], true
}

func (m *unigram) size() int  { return len(m.strings) }
func (m *unigram) top() int32 { return int32(len(m.strings)) - 1 }

func (m *unigram) unknown() string {
	s, _ := m.token(m.unkID)
	return s
}
