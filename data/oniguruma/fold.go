package oniguruma

import (
	"fmt"
	"sync"
	"unicode"
)

// longFolds are characters that Oniguruma takes for two or three others where case does not count: ß for ss, ﬁ for fi.
// That is not supported, so patterns in which it would show are refused.
var longFolds = set{
	{0xdf, 0xdf}, {0x130, 0x130}, {0x149, 0x149}, {0x1f0, 0x1f0}, {0x390, 0x390}, {0x3b0, 0x3b0}, {0x587, 0x587},
	{0x1e96, 0x1e9a}, {0x1e9e, 0x1e9e}, {0x1f50, 0x1f50}, {0x1f52, 0x1f52}, {0x1f54, 0x1f54}, {0x1f56, 0x1f56},
	{0x1f80, 0x1faf}, {0x1fb2, 0x1fb4}, {0x1fb6, 0x1fb7}, {0x1fbc, 0x1fbc}, {0x1fc2, 0x1fc4}, {0x1fc6, 0x1fc7},
	{0x1fcc, 0x1fcc}, {0x1fd2, 0x1fd3}, {0x1fd6, 0x1fd7}, {0x1fe2, 0x1fe4}, {0x1fe6, 0x1fe7}, {0x1ff2, 0x1ff4},
	{0x1ff6, 0x1ff7}, {0x1ffc, 0x1ffc}, {0xfb00, 0xfb06}, {0xfb13, 0xfb17},
}

// foldRune is the set of the characters that differ from r in case only. Beyond ASCII it takes no letters and no marks,
// which may be part of a long fold.
func foldRune(r rune) (set, error) {
	if r >= 0x80 && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.SimpleFold(r) != r) {
		return nil, fmt.Errorf("the letter %q without regard to case is not supported", r)
	}
	s := one(r)
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		s = append(s, span{f, f})
	}
	return union(s), nil
}

// longFold says whether the letters a and b, one behind the other, are what a single character folds to.
func longFold(a, b rune) bool {
	switch string([]rune{unicode.ToLower(a), unicode.ToLower(b)}) {
	case "ss", "ff", "fi", "fl", "st":
		return true
	}
	return false
}

// foldSet adds to a set what differs from its characters in case only.
func foldSet(s set, negated bool) (set, error) {
	if long := s.and(longFolds); len(long) > 0 && !negated {
		return nil, fmt.Errorf("a set without regard to case that holds %q is not supported", long[0].lo)
	}
	out, k := union(s), 0
	for _, r := range cased() {
		for k < len(s) && s[k].hi < r {
			k++
		}
		if k == len(s) {
			break
		}
		if s[k].lo > r {
			continue
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			out = append(out, span{f, f})
		}
	}
	return union(out), nil
}

// cased are the characters that have another case, in order.
var cased = sync.OnceValue(func() []rune {
	var out []rune
	for r := range rune(0x1e944) { // beyond it nothing has case
		if unicode.SimpleFold(r) != r {
			out = append(out, r)
		}
	}
	return out
})
