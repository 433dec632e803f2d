package tokenizer

import (
	"fmt"
	"slices"
	"sort"
	"unicode/utf8"
)

// maxText is the longest text that is encoded, in bytes.
const maxText = 1 << 28

// scratch is the working memory of one Encode.
type scratch struct {
	merger
	words
	path     []pathEnd
	hits     []hit
	normHits []hit
	literal  []Span
	arena    arena
	tokens   Encoding
}

const keepTokens = 1 << 18 // what a longer text took is not kept for the next

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

	enc := &w.tokens
	enc.IDs, enc.Offsets = enc.IDs[:0], enc.Offsets[:0]
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
	result := Encoding{slices.Clone(enc.IDs), slices.Clone(enc.Offsets)}
	if cap(enc.IDs) > keepTokens {
		*enc = Encoding{}
	}
	return result, nil
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
	w.arena.used = 0
	a, err := t.normalizers.normalize(aligned{s: text[lo:hi], base: int32(lo), mem: &w.arena})
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
		if err := t.words(w, enc, a, at, h.lo, literal); err != nil {
			return err
		}
		enc.add(h.id, a.span(int32(h.lo), int32(h.hi)))
		at = h.hi
	}
	return t.words(w, enc, a, at, len(a.s), literal)
}

// words cuts a.s[lo:hi] into words and those into tokens.
func (t *Tokenizer) words(w *scratch, enc *Encoding, a aligned, lo, hi int, literal []Span) error {
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
		from := len(enc.IDs)
		if err := t.model.encode(w, enc, &w.text, int(p.lo), int(p.hi)); err != nil {
			return err
		}
		if len(literal) == 0 || !t.specialIDs.hasAny(enc.IDs[from:]) || !overlaps(literal, w.text.span(p.lo, p.hi)) {
			continue
		}
		// Many vocabularies hold the special tokens too, so that the model itself would make one of data.
		enc.IDs, enc.Offsets = enc.IDs[:from], enc.Offsets[:from]
		if err := t.plain.encode(w, enc, &w.text, int(p.lo), int(p.hi)); err != nil {
			return err
		}
	}
	return nil
}

// overlaps says whether a range has bytes in common with one of literal, which is sorted.
func overlaps(literal []Span, s Span) bool {
	i := sort.Search(len(literal), func(i int) bool { return literal[i].End > s.Start })
	return i < len(literal) && literal[i].Start < s.End
}
