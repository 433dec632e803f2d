package jinja

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// Origin names the message and the field that bytes of a string were copied from. Message is the index in the
// conversation, or -1 for what belongs to no message (tools).
type Origin struct {
	Message int
	Field   string
}

// mark says that bytes [start, end) of a string came from an origin. The marks of a string are sorted and disjoint.
type mark struct {
	start, end int
	origin     *Origin
}

// Str is a string value that remembers where its bytes came from.
type Str struct {
	s     string
	marks []mark
}

// NewStr is a string all of whose bytes come from origin; nil = of no known origin.
func NewStr(s string, origin *Origin) *Str {
	if origin == nil || s == "" {
		return &Str{s: s}
	}
	return &Str{s: s, marks: []mark{{0, len(s), origin}}}
}

// String is the text alone.
func (s *Str) String() string { return s.s }

func plain(s string) *Str { return &Str{s: s} }

// size is the bytes that a copy of the string takes.
func (s *Str) size() int { return len(s.s) + markBytes*len(s.marks) }

// sub is the string's bytes [i, j) with their marks.
func (s *Str) sub(i, j int) *Str {
	if i == 0 && j == len(s.s) {
		return s
	}
	out := &Str{s: s.s[i:j]}
	if len(s.marks) == 0 || i == j {
		return out
	}
	k := sort.Search(len(s.marks), func(k int) bool { return s.marks[k].end > i })
	for ; k < len(s.marks) && s.marks[k].start < j; k++ {
		m := s.marks[k]
		out.marks = append(out.marks, mark{max(m.start, i) - i, min(m.end, j) - i, m.origin})
	}
	return out
}

// originAt is the origin of byte i, nil if it has none.
func (s *Str) originAt(i int) *Origin {
	k := sort.Search(len(s.marks), func(k int) bool { return s.marks[k].end > i })
	if k < len(s.marks) && s.marks[k].start <= i {
		return s.marks[k].origin
	}
	return nil
}

func concat(a, b *Str) *Str {
	if a.s == "" {
		return b
	}
	if b.s == "" {
		return a
	}
	out := &Str{s: a.s + b.s}
	if len(a.marks)+len(b.marks) > 0 {
		out.marks = appendMarks(append(make([]mark, 0, len(a.marks)+len(b.marks)), a.marks...), b.marks, len(a.s))
	}
	return out
}

// appendMarks appends marks moved by shift; one that continues the last mark prolongs it.
func appendMarks(to, marks []mark, shift int) []mark {
	for _, m := range marks {
		m.start += shift
		m.end += shift
		if n := len(to); n > 0 && to[n-1].end == m.start && to[n-1].origin == m.origin {
			to[n-1].end = m.end
			continue
		}
		to = append(to, m)
	}
	return to
}

// builder collects text with its marks.
type builder struct {
	buf   []byte
	marks []mark
}

func (b *builder) str(s *Str) {
	b.marks = appendMarks(b.marks, s.marks, len(b.buf))
	b.buf = append(b.buf, s.s...)
}

func (b *builder) plain(s string) { b.buf = append(b.buf, s...) }

// from appends text all of which comes from origin (nil = none).
func (b *builder) from(s string, origin *Origin) {
	if origin != nil && s != "" {
		b.marks = appendMarks(b.marks, []mark{{0, len(s), origin}}, len(b.buf))
	}
	b.buf = append(b.buf, s...)
}

func (b *builder) done() *Str { return &Str{s: string(b.buf), marks: b.marks} }

// mapRunes replaces each character by f of it; the new bytes keep the character's origin.
func (s *Str) mapRunes(f func(i int, r rune) string) *Str {
	var b builder
	b.buf = make([]byte, 0, len(s.s))
	for i, r := range s.s {
		b.from(f(i, r), s.originAt(i))
	}
	return b.done()
}

// replace is Python's str.replace; n < 0 = all.
func (s *Str) replace(old string, with *Str, n int) *Str {
	if n == 0 || (old != "" && index(s.s, old) < 0) {
		return s
	}
	var b builder
	if old == "" {
		for i, r := range s.s {
			if n != 0 {
				b.str(with)
				n--
			}
			b.str(s.sub(i, i+utf8.RuneLen(r)))
		}
		if n != 0 {
			b.str(with)
		}
		return b.done()
	}
	at := 0
	for ; n != 0; n-- {
		k := index(s.s[at:], old)
		if k < 0 {
			break
		}
		b.str(s.sub(at, at+k))
		b.str(with)
		at += k + len(old)
	}
	b.str(s.sub(at, len(s.s)))
	return b.done()
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool {
	switch {
	case r == ' ', r >= '\t' && r <= '\r', r >= 0x1c && r <= 0x1f, r == 0x85, r == 0xa0:
		return true
	case r < 0x1680:
		return false
	}
	return r == 0x1680 || r >= 0x2000 && r <= 0x200a || r == 0x2028 || r == 0x2029 || r == 0x202f || r == 0x205f || r == 0x3000
}

// strip is Python's strip, lstrip and rstrip; chars == nil means whitespace.
func (s *Str) strip(chars *Str, left, right bool) *Str {
	drop := isSpace
	if chars != nil {
		drop = oneOf(chars.s)
	}
	i, j := 0, len(s.s)
	if left {
		i = len(s.s) - len(strings.TrimLeftFunc(s.s, drop))
	}
	if right {
		j = max(i, len(strings.TrimRightFunc(s.s, drop)))
	}
	return s.sub(i, j)
}

// oneOf says of a character whether it is among chars.
func oneOf(chars string) func(r rune) bool {
	if len(chars) <= shortNeedle {
		return func(r rune) bool { return strings.ContainsRune(chars, r) }
	}
	set := map[rune]bool{}
	for _, c := range chars {
		set[c] = true
	}
	return func(r rune) bool { return set[r] }
}

// runeOffset is the byte offset of character n (n up to the length).
func runeOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func (s *Str) runes() int { return utf8.RuneCountInString(s.s) }

// join puts sep between the strings.
func join(sep *Str, items []*Str) *Str {
	var b builder
	for i, s := range items {
		if i > 0 {
			b.str(sep)
		}
		b.str(s)
	}
	return b.done()
}
