package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"attune/data/oniguruma"
)

// piece is the range [lo,hi) of a text; match says whether a pattern matched it or it lies between two matches.
type piece struct {
	lo, hi int32
	match  bool
}

// matcher cuts a text into the matches of a pattern and what lies between them, in order and without gaps.
type matcher interface {
	cut(dst []piece, s string) ([]piece, error)
}

// parsePattern reads {"String": s} or {"Regex": s}.
func parsePattern(raw json.RawMessage) (matcher, error) {
	var f struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	switch {
	case f.String != nil && *f.String == "":
		return nil, errors.New("pattern: the String is empty")
	case f.String != nil:
		return literalPattern(*f.String), nil
	case f.Regex != nil:
		return parseRegex(*f.Regex)
	}
	return nil, errors.New("pattern has neither String nor Regex")
}

// wordsOfGPT2 is the pattern of the ByteLevel pre-tokenizer.
const wordsOfGPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// parseRegex reads a regular expression of Oniguruma, the engine of the tokenizers library.
func parseRegex(pattern string) (matcher, error) {
	re, err := oniguruma.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	return regexPattern{re}, nil
}

type regexPattern struct{ re *oniguruma.Regexp }

func (p regexPattern) cut(dst []piece, s string) ([]piece, error) {
	if s == "" {
		return dst, nil // the library does not ask whether the pattern matches it
	}
	err := p.re.Cut(s, func(lo, hi int, match bool) { dst = append(dst, piece{int32(lo), int32(hi), match}) })
	return dst, err
}

// between closes the gap before a match and adds the match.
func between(dst []piece, prev, lo, hi int) []piece {
	if prev != lo {
		dst = append(dst, piece{int32(prev), int32(lo), false})
	}
	return append(dst, piece{int32(lo), int32(hi), true})
}

func rest(dst []piece, prev, n int) []piece {
	if prev != n {
		dst = append(dst, piece{int32(prev), int32(n), false})
	}
	return dst
}

// literalPattern matches a string, not empty.
type literalPattern string

func (p literalPattern) cut(dst []piece, s string) ([]piece, error) {
	prev := 0
	if dst == nil {
		dst = make([]piece, 0, 2*strings.Count(s, string(p))+1)
	}
	for {
		i := strings.Index(s[prev:], string(p))
		if i < 0 {
			return rest(dst, prev, len(s)), nil
		}
		dst = between(dst, prev, prev+i, prev+i+len(p))
		prev += i + len(p)
	}
}

// classPattern matches single characters of a class.
type classPattern struct {
	table *[classTable]uint8
	bits  uint8
}

func (p classPattern) cut(dst []piece, s string) ([]piece, error) {
	prev := 0
	for i, r := range s {
		if classIn(p.table, r)&p.bits != 0 {
			n := utf8.RuneLen(r)
			dst = between(dst, prev, i, i+n)
			prev = i + n
		}
	}
	return rest(dst, prev, len(s)), nil
}

// wordPattern matches \w+|[^\w\s]+.
type wordPattern struct{ table *[classTable]uint8 }

func (p wordPattern) cut(dst []piece, s string) ([]piece, error) {
	lo, kind := 0, uint8(0) // word, space or neither (0)
	for i, r := range s {
		k := classIn(p.table, r) & (word | space)
		if i > 0 && k != kind {
			dst = append(dst, piece{int32(lo), int32(i), kind != space})
			lo = i
		}
		kind = k
	}
	if lo < len(s) {
		dst = append(dst, piece{int32(lo), int32(len(s)), kind != space})
	}
	return dst, nil
}
