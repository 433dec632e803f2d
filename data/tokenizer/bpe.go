package tokenizer

import (
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

// bpe is the model: byte-pair encoding (Sennrich et al., arXiv:1508.07909) as the tokenizers library does it.
type bpe struct {
	vocabulary
	merges map[uint64]merge // by pair: left id << 32 | right id
	banned *idSet           // ids that no whole word may become

	unk          string // "" = characters outside the vocabulary are left out
	unkID        int32  // -1 = not in the vocabulary
	prefix       string // before every symbol but the first of a word
	suffix       string // behind the last symbol of a word
	fuseUnk      bool
	ignoreMerges bool
	byteFallback bool

	bytes    *[256]int32      // the symbol of each byte, -1 = left out, where the model reads bytes; nil = it reads characters
	whole    map[string]int32 // words that are one token, where ignoreMerges
	runes    map[rune]int32   // tokens of one character
	fallback [256]int32       // the tokens <0x00> to <0xFF>, -1 = not in the vocabulary
	seams    bool             // long words may be cut before a ▁: no merge crosses that place
	glue     [256]bool        // but not behind a character whose last byte is one of these

	cache *wordCache
}

// merge is what a pair becomes; of the pairs in a word the one with the lowest rank is merged first.
type merge struct{ rank, id int32 }

func pair(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

const metaMark = "▁" // what SentencePiece writes for a blank

// prepare makes the tables that follow from the vocabulary. readBytes says that words could arrive as bytes rather than
// as the characters that stand for bytes; bytes says whether they shall, which takes a token for every byte.
func (m *bpe) prepare(readBytes bool, merges [][2]string) (bytes bool, err error) {
	m.unkID = -1
	if id, ok := m.ids[m.unk]; ok && m.unk != "" {
		m.unkID = id
	}
	if err := m.addMerges(merges); err != nil {
		return false, err
	}
	for b := range m.fallback {
		m.fallback[b] = -1
		if id, ok := m.ids[fmt.Sprintf("<0x%02X>", b)]; ok {
			m.fallback[b] = id
		}
	}
	plain := m.prefix == "" && m.suffix == ""
	if readBytes && plain {
		var table [256]int32
		for b := range table {
			id, ok := m.ids[byteToken(byte(b))]
			if !ok {
				id = -1
			}
			table[b] = id
			readBytes = readBytes && (ok || !inUTF8(byte(b)) || m.unk == "" && !m.byteFallback)
		}
		if readBytes {
			m.bytes = &table
		}
	}
	if m.bytes == nil {
		m.runes = make(map[rune]int32)
	}
	for token, id := range m.ids {
		if r, n := utf8.DecodeRuneInString(token); m.runes != nil && n == len(token) && n > 0 {
			m.runes[r] = id
		}
	}
	if m.ignoreMerges {
		m.whole = m.ids
		if m.bytes != nil {
			m.whole = make(map[string]int32, len(m.ids))
			for token, id := range m.ids {
				if b, ok := appendBytes(nil, token); ok {
					m.whole[string(b)] = id
				}
			}
		}
	}
	m.seams = m.bytes == nil && plain && m.findSeams(merges)
	m.cache = newWordCache()
	return m.bytes != nil, nil
}

// inUTF8 says whether a byte occurs in UTF-8; vocabularies may lack the others.
func inUTF8(b byte) bool { return b != 0xc0 && b != 0xc1 && b < 0xf5 }

func (m *bpe) addMerges(merges [][2]string) error {
	m.merges = make(map[uint64]merge, len(merges))
	for rank, ab := range merges {
		left, right := ab[0], ab[1]
		a, ok := m.ids[left]
		if !ok {
			return fmt.Errorf("model: merge %d has %q, which is not in the vocabulary", rank, left)
		}
		b, ok := m.ids[right]
		if !ok {
			return fmt.Errorf("model: merge %d has %q, which is not in the vocabulary", rank, right)
		}
		if len(right) < len(m.prefix) {
			return fmt.Errorf("model: merge %d has %q, which is shorter than continuing_subword_prefix %q", rank, right, m.prefix)
		}
		joined := left + right[len(m.prefix):]
		id, ok := m.ids[joined]
		if !ok {
			return fmt.Errorf("model: merge %d makes %q, which is not in the vocabulary", rank, joined)
		}
		m.merges[pair(a, b)] = merge{int32(rank), id}
	}
	return nil
}

// findSeams sets where long words may be cut, and says whether there is such a place: before a ▁ that follows another
// character, unless a merge joins a token that ends in that character to one that begins with ▁.
func (m *bpe) findSeams(merges [][2]string) bool {
	if _, ok := m.ids[metaMark]; !ok {
		return false // fused unknown characters would cross the place
	}
	for _, ab := range merges {
		left, right := ab[0], ab[1]
		if left == "" || !strings.HasPrefix(right, metaMark) || strings.HasSuffix(left, metaMark) {
			continue
		}
		m.glue[left[len(left)-1]] = true
		if n := len(left) - len("<0x00>"); n >= 0 && strings.HasPrefix(left[n:], "<0x") {
			return false // it may stand for a byte of a character outside the vocabulary
		}
	}
	return true
}

// symbol is a token in the making: the bytes [lo,hi) of the word.
type symbol struct {
	id         int32
	lo, hi     int32
	prev, next int32 // neighbours, -1 = none
	rank       int32 // of the merge with next, noMerge = none
	into       int32 // what that merge makes
}

const noMerge = int32(1<<31 - 1)

// merger is the working memory of one Encode.
type merger struct {
	symbols []symbol
	heap    []uint64 // rank << 32 | symbol
	buf     []byte
}

// symbolize cuts a word into its first symbols.
func (m *bpe) symbolize(w *merger, s string) error {
	w.symbols = w.symbols[:0]
	if m.bytes != nil {
		for i := range len(s) {
			if id := m.bytes[s[i]]; id >= 0 {
				w.add(id, i, i+1)
			}
		}
		return nil
	}
	unkLo, unkHi := -1, 0 // an unknown stretch that is not added yet
	flush := func() {
		if unkLo >= 0 {
			w.add(m.unkID, unkLo, unkHi)
			unkLo = -1
		}
	}
	for i, r := range s {
		n := utf8.RuneLen(r)
		if id, ok := m.char(w, s, i, n, r); ok {
			flush()
			w.add(id, i, i+n)
			continue
		}
		// The tokenizers library leaves an unknown stretch pending here, so that it follows the bytes; so do we.
		if m.byteFallback && m.addBytes(w, s, i, n) {
			continue
		}
		if m.unk == "" {
			continue
		}
		if m.unkID < 0 {
			return fmt.Errorf("unk_token %q is not in the vocabulary, and %q is not either", m.unk, s[i:i+n])
		}
		if unkLo >= 0 && m.fuseUnk {
			unkHi = i + n
			continue
		}
		flush()
		unkLo, unkHi = i, i+n
	}
	flush()
	return nil
}

// char is the token of the character r = s[i:i+n] with the prefix and suffix that belong to its place.
func (m *bpe) char(w *merger, s string, i, n int, r rune) (int32, bool) {
	if m.prefix == "" && m.suffix == "" {
		id, ok := m.runes[r]
		return id, ok
	}
	w.buf = m.decorate(w.buf[:0], s, i, n)
	id, ok := m.ids[string(w.buf)]
	return id, ok && !m.banned.has(id)
}

func (m *bpe) decorate(buf []byte, s string, i, n int) []byte {
	if i > 0 {
		buf = append(buf, m.prefix...)
	}
	buf = append(buf, s[i:i+n]...)
	if i+n == len(s) {
		buf = append(buf, m.suffix...)
	}
	return buf
}

// addBytes adds the byte tokens of s[i:i+n], if the vocabulary has them all.
func (m *bpe) addBytes(w *merger, s string, i, n int) bool {
	w.buf = m.decorate(w.buf[:0], s, i, n)
	for _, b := range w.buf {
		if m.fallback[b] < 0 {
			return false
		}
	}
	for k, b := range w.buf {
		lo := i + min(k, n-1)
		w.add(m.fallback[b], lo, lo+1)
	}
	return true
}

func (w *merger) add(id int32, lo, hi int) {
	w.symbols = append(w.symbols, symbol{id: id, lo: int32(lo), hi: int32(hi)})
}

func (m *bpe) unknown() string { return m.unk }

func (m *bpe) without(ids *idSet) model {
	c := *m
	c.banned, c.cache = ids, nil
	banned := func(_ rune, id int32) bool { return ids.has(id) }
	for r, id := range m.runes {
		if banned(r, id) {
			c.runes = maps.Clone(m.runes)
			maps.DeleteFunc(c.runes, banned)
			break
		}
	}
	makes := func(_ uint64, x merge) bool { return ids.has(x.id) }
	for pair, x := range m.merges {
		if makes(pair, x) {
			c.merges = maps.Clone(m.merges)
			maps.DeleteFunc(c.merges, makes)
			break
		}
	}
	c.seams = m.seams && !ids.has(m.ids[metaMark])
	return &c
}

func (m *bpe) encode(w *scratch, enc *Encoding, a *aligned, lo, hi int) error {
	if m.ignoreMerges {
		if id, ok := m.whole[a.s[lo:hi]]; ok && !m.banned.has(id) {
			enc.add(id, a.span(int32(lo), int32(hi)))
			return nil
		}
	}
	if !m.seams {
		return m.cache.encode(m, w, enc, a, lo, hi)
	}
	// What stands before a ▁ that follows another character is merged for itself: no merge crosses that place.
	for i := lo; ; {
		next := hi
		for i < hi && next == hi {
			for strings.HasPrefix(a.s[i:hi], metaMark) {
				i += len(metaMark)
			}
			n := strings.Index(a.s[i:hi], metaMark)
			if n < 0 {
				break
			}
			if i += n; !m.glue[a.s[i-1]] {
				next = i
			}
		}
		if err := m.cache.encode(m, w, enc, a, lo, next); err != nil {
			return err
		}
		if next == hi {
			return nil
		}
		lo, i = next, next
	}
}

// cut makes the tokens of a word.
func (m *bpe) cut(w *scratch, word string) error {
	if err := m.symbolize(&w.merger, word); err != nil {
		return err
	}
	m.mergeAll(&w.merger)
	return nil
}
