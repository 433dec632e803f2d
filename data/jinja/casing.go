package jinja

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// upperRune is one character in capitals, which may be several ("ß" gives "SS").
func upperRune(c rune) string {
	if expands(c) {
		return expanded().upper[c]
	}
	return string(unicode.ToUpper(c))
}

func titleRune(c rune) string {
	if expands(c) {
		return expanded().title[c]
	}
	return string(unicode.ToTitle(c))
}

// expands: the character lies where Unicode's SpecialCasing.txt has those that take several in capitals.
func expands(c rune) bool {
	switch {
	case c < 0x80:
		return false
	case c == 0xdf, c == 0x149, c == 0x1f0, c == 0x390, c == 0x3b0, c == 0x587:
		return true
	}
	return c >= 0x1e96 && c <= 0x1e9e || c >= 0x1f50 && c <= 0x1fff || c >= 0xfb00 && c <= 0xfb17
}

type expansions struct{ upper, title map[rune]string }

// expanded are the capitals of characters that expands names. The cases package takes a microsecond for each.
var expanded = sync.OnceValue(func() expansions {
	e := expansions{map[rune]string{}, map[rune]string{}}
	for c := rune(0x80); c < 0x10000; c++ {
		if expands(c) {
			e.upper[c] = cases.Upper(language.Und).String(string(c))
			e.title[c] = cases.Title(language.Und).String(string(c))
		}
	}
	return e
})

// lowerAt is the character at byte i of s in small letters; a capital sigma at the end of a word is the final one.
func lowerAt(s string, i int, c rune) string {
	switch {
	case c < 0x80:
		return string(unicode.ToLower(c))
	case c == 'Σ':
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+len("Σ"):])
		if unicode.IsLetter(before) && !unicode.IsLetter(after) {
			return "ς"
		}
		return "σ"
	case c == 'İ':
		return "i̇"
	}
	return string(unicode.ToLower(c))
}

func (s *Str) upper() *Str { return s.mapRunes(func(_ int, c rune) string { return upperRune(c) }) }

func (s *Str) lower() *Str {
	return s.mapRunes(func(i int, c rune) string { return lowerAt(s.s, i, c) })
}

func (s *Str) capitalize() *Str {
	return s.mapRunes(func(i int, c rune) string {
		if i == 0 {
			return titleRune(c)
		}
		return lowerAt(s.s, i, c)
	})
}

// title is Python's str.title: a letter behind anything that is no letter becomes a capital.
func (s *Str) title() *Str {
	inWord := false
	return s.mapRunes(func(i int, c rune) string {
		was := inWord
		inWord = unicode.IsUpper(c) || unicode.IsLower(c) || unicode.IsTitle(c)
		if was {
			return lowerAt(s.s, i, c)
		}
		return titleRune(c)
	})
}

func (s *Str) swapcase() *Str {
	return s.mapRunes(func(i int, c rune) string {
		if unicode.IsUpper(c) {
			return lowerAt(s.s, i, c)
		}
		return upperRune(c)
	})
}
