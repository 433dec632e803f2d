package jinja

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// upperRune is one character in capitals, which may be several ("ß" gives "SS").
func upperRune(c rune) string {
	if c < 0x80 {
		return string(unicode.ToUpper(c))
	}
	return cases.Upper(language.Und).String(string(c))
}

func titleRune(c rune) string {
	if c < 0x80 {
		return string(unicode.ToUpper(c))
	}
	return cases.Title(language.Und).String(string(c))
}

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
