package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// The cache of words: a table of fixed size in which a word has two places, and overwrites another one there. Entries do
// not change once stored, so readers need no lock.
const (
	cacheSlots   = 1 << 16
	cacheWordMax = 64 // longer words are not kept
)

type wordCache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cacheEntry]
}

type cacheEntry struct {
	word   string
	tokens []cachedToken
}

type cachedToken struct {
	id     int32
	lo, hi uint16 // bytes of the word
}

func newWordCache() *wordCache {
	return &wordCache{maphash.MakeSeed(), make([]atomic.Pointer[cacheEntry], cacheSlots)}
}

// encode appends the tokens of the word a.s[lo:hi], from the cache where it is there, else as m cuts it. A nil cache
// keeps nothing.
func (c *wordCache) encode(m cutter, w *scratch, enc *Encoding, a *aligned, lo, hi int) error {
	s := a.s[lo:hi]
	if len(s) > cacheWordMax || c == nil {
		if err := m.cut(w, s); err != nil {
			return err
		}
		for i := range w.symbols {
			x := &w.symbols[i]
			enc.add(x.id, a.span(int32(lo)+x.lo, int32(lo)+x.hi))
		}
		return nil
	}
	at := maphash.String(c.seed, s) % cacheSlots
	slot, other := &c.slots[at], &c.slots[at^1]
	e := slot.Load()
	if e != nil && e.word != s {
		e = other.Load()
	}
	if e == nil || e.word != s {
		if err := m.cut(w, s); err != nil {
			return err
		}
		e = &cacheEntry{strings.Clone(s), make([]cachedToken, len(w.symbols))}
		for i, x := range w.symbols {
			e.tokens[i] = cachedToken{x.id, uint16(x.lo), uint16(x.hi)}
		}
		if last := slot.Swap(e); last != nil {
			other.Store(last)
		}
	}
	if a.at != nil {
		for _, x := range e.tokens {
			enc.add(x.id, a.span(int32(lo)+int32(x.lo), int32(lo)+int32(x.hi)))
		}
		return nil
	}
	from := int(a.base) + lo // nothing has changed the text, as most often
	for _, x := range e.tokens {
		enc.add(x.id, Span{from + int(x.lo), from + int(x.hi)})
	}
	return nil
}
