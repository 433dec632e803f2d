package tokenizer

import (
	"maps"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// lengthPattern matches that many characters, at the end of the text what is left.
type lengthPattern int

func (p lengthPattern) cut(dst []piece, s string) ([]piece, error) {
	lo, n := 0, 0
	for i, r := range s {
		if n++; n == int(p) {
			end := i + utf8.RuneLen(r)
			dst = append(dst, piece{int32(lo), int32(end), true})
			lo, n = end, 0
		}
	}
	if lo < len(s) {
		dst = append(dst, piece{int32(lo), int32(len(s)), true})
	}
	return dst, nil
}

// scriptPattern matches runs of one script, of SentencePiece's making: kana counts as Han, and blanks and characters
// without a script belong to the run before them. What comes before the first run is lost in the tokenizers library.
type scriptPattern struct{}

// No script, and that of the first character.
const (
	anyScript  = -1
	noneBefore = -2
)

func (scriptPattern) cut(dst []piece, s string) ([]piece, error) {
	lo, last := 0, noneBefore
	for i, r := range s {
		script := scriptOf(r)
		if script == anyScript || script == last {
			continue
		}
		if i > lo {
			dst = append(dst, piece{int32(lo), int32(i), last != noneBefore})
		}
		lo, last = i, script
	}
	if lo < len(s) {
		dst = append(dst, piece{int32(lo), int32(len(s)), last != noneBefore})
	}
	return dst, nil
}

// scriptRange says that the characters from lo to hi are of a script, by the place of its name in the alphabet.
type scriptRange struct {
	lo, hi rune
	script int
}

var scriptRanges = sync.OnceValue(func() []scriptRange {
	names := slices.Sorted(maps.Keys(unicode.Scripts))
	han, _ := slices.BinarySearch(names, "Han")
	var all []scriptRange
	for i, name := range names {
		if name == "Hiragana" || name == "Katakana" {
			i = han
		}
		add := func(lo, hi, stride rune) {
			if stride == 1 {
				all = append(all, scriptRange{lo, hi, i})
				return
			}
			for r := lo; r <= hi; r += stride {
				all = append(all, scriptRange{r, r, i})
			}
		}
		for _, r := range unicode.Scripts[name].R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range unicode.Scripts[name].R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	slices.SortFunc(all, func(a, b scriptRange) int { return int(a.lo - b.lo) })
	return all
})

func scriptOf(r rune) int {
	switch r {
	case ' ':
		return anyScript
	case 'ー': // common to the two kana
		r = 'ア'
	}
	all := scriptRanges()
	i, found := slices.BinarySearchFunc(all, r, func(x scriptRange, r rune) int { return int(x.lo - r) })
	if !found {
		i--
	}
	if i < 0 || r > all[i].hi {
		return anyScript
	}
	return all[i].script
}
