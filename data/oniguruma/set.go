package oniguruma

import (
	"cmp"
	"slices"
	"unicode"
)

// set is a set of characters: ranges in order that neither overlap nor touch.
type set []span

type span struct{ lo, hi rune } // both within

// edge stands for what is beyond the ends of the text, where assertions look at it as at a character.
const edge = unicode.MaxRune + 1

var (
	all     = set{{0, unicode.MaxRune}}
	newline = set{{'\n', '\n'}}
)

func one(r rune) set { return set{{r, r}} }

// union is the set of what is in any of the sets.
func union(sets ...set) set {
	s := slices.Concat(sets...)
	slices.SortFunc(s, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	out := s[:0]
	for _, x := range s {
		if n := len(out); n > 0 && x.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, x.hi)
		} else {
			out = append(out, x)
		}
	}
	return out
}

// not is the set of the characters that are not in s, up to last.
func (s set) not(last rune) set {
	out := set{}
	next := rune(0)
	for _, x := range s {
		if next < x.lo {
			out = append(out, span{next, x.lo - 1})
		}
		next = x.hi + 1
	}
	if next <= last {
		out = append(out, span{next, last})
	}
	return out
}

// complement is the set of all characters that are not in s.
func (s set) complement() set { return s.not(unicode.MaxRune) }

// and is the set of the characters in both.
func (s set) and(t set) set { return union(s.complement(), t.complement()).complement() }

// fromTables is the set of the characters in any of the tables.
func fromTables(tables ...*unicode.RangeTable) set {
	var s set
	for _, t := range tables {
		for _, r := range t.R16 {
			s = appendStride(s, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			s = appendStride(s, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return union(s)
}

func appendStride(s set, lo, hi, stride rune) set {
	if stride == 1 {
		return append(s, span{lo, hi})
	}
	for r := lo; r <= hi; r += stride {
		s = append(s, span{r, r})
	}
	return s
}
