package jinja

import (
	"testing"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// TestCasing holds the short way of each character to the tables of all of Unicode.
func TestCasing(t *testing.T) {
	for c := rune(0); c <= unicode.MaxRune; c++ {
		if c >= 0xd800 && c < 0xe000 {
			continue
		}
		if got, want := upperRune(c), cases.Upper(language.Und).String(string(c)); got != want {
			t.Errorf("%U in capitals is %q, want %q", c, got, want)
		}
		if got, want := titleRune(c), cases.Title(language.Und).String(string(c)); got != want {
			t.Errorf("%U as the first letter is %q, want %q", c, got, want)
		}
	}
}
