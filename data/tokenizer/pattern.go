package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
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

// The published patterns that have a hand-written scanner.
const (
	gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	// cl100kPattern is that of GPT-4 and Llama 3 with %s = {1,3}, that of Qwen 2 and later with nothing.
	cl100kPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

func parseRegex(pattern string) (matcher, error) {
	switch pattern {
	case gpt2Pattern:
		return newScanner(0), nil
	case fmt.Sprintf(cl100kPattern, ""):
		return newScanner(1), nil
	case fmt.Sprintf(cl100kPattern, "{1,3}"):
		return newScanner(3), nil
	}
	if plainPattern(pattern) {
		if re, err := regexp.Compile(pattern); err == nil {
			return linearPattern{re}, nil
		}
	}
	translated, err := translate(pattern)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	re, err := regexp2.Compile(translated, regexp2.Multiline)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	re.MatchTimeout = regexTimeout
	return &backtrackPattern{re}, nil
}

// regexTimeout ends a match that a hostile expression makes exponential.
const regexTimeout = 20 * time.Second

// plainPattern says whether a pattern means the same to package regexp, which takes linear time, as to Oniguruma, the
// engine of the tokenizers library: no classes that package regexp limits to ASCII, no line anchors, no groups with options.
func plainPattern(pattern string) bool {
	for _, other := range []string{"(?", "[:", "[[", "&&"} {
		if strings.Contains(pattern, other) {
			return false
		}
	}
	for i := 0; i+1 < len(pattern); i++ {
		if pattern[i] != '\\' {
			continue
		}
		if i++; strings.IndexByte(`AzpPrnt\.*+?()[]{}|^$-`, pattern[i]) < 0 {
			return false
		}
	}
	re, err := syntax.Parse(pattern, syntax.Perl&^syntax.OneLine)
	return err == nil && !anchored(re)
}

// anchored says whether ^ or $ is in re, which stand for lines in Oniguruma and for the text in package regexp.
func anchored(re *syntax.Regexp) bool {
	if re.Op == syntax.OpBeginLine || re.Op == syntax.OpEndLine {
		return true
	}
	for _, sub := range re.Sub {
		if anchored(sub) {
			return true
		}
	}
	return false
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
	for {
		i := strings.Index(s[prev:], string(p))
		if i < 0 {
			return rest(dst, prev, len(s)), nil
		}
		dst = between(dst, prev, prev+i, prev+i+len(p))
		prev += i + len(p)
	}
}

// linearPattern is a regular expression of package regexp.
type linearPattern struct{ re *regexp.Regexp }

func (p linearPattern) cut(dst []piece, s string) ([]piece, error) {
	prev := 0
	for _, m := range p.re.FindAllStringIndex(s, -1) {
		dst = between(dst, prev, m[0], m[1])
		prev = m[1]
	}
	return rest(dst, prev, len(s)), nil
}

// backtrackPattern is a regular expression with look-around or Unicode classes.
type backtrackPattern struct{ re *regexp2.Regexp }

func (p *backtrackPattern) cut(dst []piece, s string) ([]piece, error) {
	prev, at, runes := 0, 0, 0 // at: the byte where rune number runes begins
	m, err := p.re.FindStringMatch(s)
	for ; m != nil && err == nil; m, err = p.re.FindNextMatch(m) {
		for ; runes < m.Index; runes++ {
			_, n := utf8.DecodeRuneInString(s[at:])
			at += n
		}
		lo := at
		for ; runes < m.Index+m.Length; runes++ {
			_, n := utf8.DecodeRuneInString(s[at:])
			at += n
		}
		if lo == at && lo == prev && lo > 0 {
			continue // an empty match behind a match does not count
		}
		dst = between(dst, prev, lo, at)
		prev = at
	}
	if err != nil {
		return dst, fmt.Errorf("regular expression %q: %w", p.re.String(), err)
	}
	return rest(dst, prev, len(s)), nil
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
