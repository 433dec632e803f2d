package tokenizer

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// The cache of words: a table of fixed size in which a word overwrites another one at the same place. Entries do not
// change once stored, so readers need no lock.
const (
	cacheSlots   = 1 << 16
	cacheWordMax = 64 // longer words are not kept
)

// maxText is the longest text that is encoded, in bytes.
const maxText = 1 << 28

type cacheSlot struct{ atomic.Pointer[cacheEntry] }

type cacheEntry struct {
	word   string
	tokens []cachedToken
}

type cachedToken struct {
	id     int32
	lo, hi uint16 // bytes of the word
}

// scratch is the working memory of one Encode.
type scratch struct {
	merger
	words
	hits     []hit
	normHits []hit
	literal  []Span
}

// Encode turns a text into token ids with the bytes that each covers. The text must be valid UTF-8.
func (t *Tokenizer) Encode(text string, o Options) (Encoding, error) {
	if err := checkText(text, o.Literal); err != nil {
		return Encoding{}, fmt.Errorf("tokenizer: encode: %w", err)
	}
	w, _ := t.pool.Get().(*scratch)
	if w == nil {
		w = &scratch{}
	}
	defer t.pool.Put(w)

	guess := len(text)/3 + 8
	enc := &Encoding{IDs: make([]int32, 0, guess), Offsets: make([]Span, 0, guess)}
	if o.AddSpecial {
		enc.addAt(t.before, 0)
	}
	w.hits = t.exact.find(w.hits[:0], text, o.Literal)
	at := 0
	for _, h := range w.hits {
		if at < h.lo {
			if err := t.section(w, enc, text, at, h.lo, o.Literal); err != nil {
				return Encoding{}, fmt.Errorf("tokenizer: encode: %w", err)
			}
		}
		enc.add(h.id, Span{h.lo, h.hi})
		at = h.hi
	}
	if at < len(text) {
		if err := t.section(w, enc, text, at, len(text), o.Literal); err != nil {
			return Encoding{}, fmt.Errorf("tokenizer: encode: %w", err)
		}
	}
	if o.AddSpecial {
		enc.addAt(t.after, len(text))
	}
	w.text = aligned{}
	return *enc, nil
}

func checkText(text string, literal []Span) error {
	if len(text) > maxText {
		return fmt.Errorf("the text has %d bytes; cut it to texts of at most %d", len(text), maxText)
	}
	if !utf8.ValidString(text) {
		at := 0
		for at < len(text) {
			r, n := utf8.DecodeRuneInString(text[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		return fmt.Errorf("the text is not UTF-8 at byte %d", at)
	}
	end := 0
	for i, l := range literal {
		if l.Start < end || l.End < l.Start || l.End > len(text) {
			return fmt.Errorf("literal range %d is [%d,%d): ranges must be sorted and within the %d bytes of the text", i, l.Start, l.End, len(text))
		}
		end = l.End
	}
	return nil
}

func (e *Encoding) add(id int32, at Span) {
	e.IDs = append(e.IDs, id)
	e.Offsets = append(e.Offsets, at)
}

func (e *Encoding) addAt(ids []int32, at int) {
	for _, id := range ids {
		e.add(id, Span{at, at})
	}
}

// section encodes text[lo:hi], in which there is no added token but those that match the normalized text.
func (t *Tokenizer) section(w *scratch, enc *Encoding, text string, lo, hi int, literal []Span) error {
	a, err := t.normalizers.normalize(aligned{s: text[lo:hi], base: int32(lo)})
	if err != nil {
		return err
	}
	w.normHits = w.normHits[:0]
	if !t.normalized.empty() {
		w.literal = literalIn(w.literal[:0], &a, literal)
		w.normHits = t.normalized.find(w.normHits, a.s, w.literal)
	}
	at := 0
	for _, h := range w.normHits {
		if err := t.words(w, enc, a, at, h.lo); err != nil {
			return err
		}
		enc.add(h.id, a.span(int32(h.lo), int32(h.hi)))
		at = h.hi
	}
	return t.words(w, enc, a, at, len(a.s))
}

// words cuts a.s[lo:hi] into words and those into tokens.
func (t *Tokenizer) words(w *scratch, enc *Encoding, a aligned, lo, hi int) error {
	if lo >= hi {
		return nil
	}
	w.text = a
	w.pieces = append(w.pieces[:0], piece{int32(lo), int32(hi), false})
	for _, p := range t.preTokenizers {
		if err := p.apply(&w.words); err != nil {
			return err
		}
		if err := checkGrowth(len(a.s), len(w.text.s)); err != nil {
			return fmt.Errorf("pre_tokenizer: %w", err)
		}
	}
	for _, p := range w.pieces {
		if err := t.model.encode(&w.merger, enc, &w.text, int(p.lo), int(p.hi)); err != nil {
			return err
		}
	}
	return nil
}

// encode appends the tokens of the word a.s[lo:hi].
func (m *bpe) encode(w *merger, enc *Encoding, a *aligned, lo, hi int) error {
	if m.ignoreMerges {
		if id, ok := m.whole[a.s[lo:hi]]; ok {
			enc.add(id, a.span(int32(lo), int32(hi)))
			return nil
		}
	}
	if !m.seams {
		return m.word(w, enc, a, lo, hi)
	}
	// What stands before a ▁ that follows another character is merged for itself: no merge crosses that place.
	for i := lo; ; {
		next := hi
		for i < hi && strings.HasPrefix(a.s[i:hi], metaMark) {
			i += len(metaMark)
		}
		if n := strings.Index(a.s[i:hi], metaMark); n >= 0 {
			next = i + n
		}
		if err := m.word(w, enc, a, lo, next); err != nil {
			return err
		}
		if next == hi {
			return nil
		}
		lo, i = next, next
	}
}

// word appends the tokens of a.s[lo:hi], from the cache where it is there.
func (m *bpe) word(w *merger, enc *Encoding, a *aligned, lo, hi int) error {
	s := a.s[lo:hi]
	if len(s) > cacheWordMax {
		if err := m.symbolize(w, s); err != nil {
			return err
		}
		m.mergeAll(w)
		for i := range w.symbols {
			x := &w.symbols[i]
			enc.add(x.id, a.span(int32(lo)+x.lo, int32(lo)+x.hi))
		}
		return nil
	}
	slot := &m.cache[maphash.String(m.seed, s)%cacheSlots]
	e := slot.Load()
	if e == nil || e.word != s {
		if err := m.symbolize(w, s); err != nil {
			return err
		}
		m.mergeAll(w)
		e = &cacheEntry{strings.Clone(s), make([]cachedToken, len(w.symbols))}
		for i, x := range w.symbols {
			e.tokens[i] = cachedToken{x.id, uint16(x.lo), uint16(x.hi)}
		}
		slot.Store(e)
	}
	for _, x := range e.tokens {
		enc.add(x.id, a.span(int32(lo)+int32(x.lo), int32(lo)+int32(x.hi)))
	}
	return nil
}
