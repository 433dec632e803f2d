package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// digits is the length of a run of digits with single "_" between them.
func digits(s string, ok func(c byte) bool) int {
	n := 0
	for n < len(s) && (ok(s[n]) || s[n] == '_' && n > 0 && s[n-1] != '_' && n+1 < len(s) && ok(s[n+1])) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// number reads an integer (decimal, 0x, 0o, 0b) or a float.
func (l *lexer) number() error {
	rest := l.src[l.i:]
	kind, n := tokInt, 0
	if len(rest) > 2 && rest[0] == '0' && strings.IndexByte("xXoObB", rest[1]) >= 0 {
		base := map[byte]func(byte) bool{
			'x': func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' },
			'o': func(c byte) bool { return c >= '0' && c <= '7' },
			'b': func(c byte) bool { return c == '0' || c == '1' },
		}[rest[1]|0x20]
		from := 2
		if rest[2] == '_' {
			from = 3
		}
		if k := digits(rest[from:], base); k > 0 {
			n = from + k
		}
	}
	if n == 0 {
		n = digits(rest, isDigit)
		fraction := func(m int) int {
			if m < len(rest) && rest[m] == '.' {
				if k := digits(rest[m+1:], isDigit); k > 0 {
					return m + 1 + k
				}
			}
			return m
		}
		m := fraction(n)
		if m < len(rest) && rest[m]|0x20 == 'e' {
			e := m + 1
			if e < len(rest) && (rest[e] == '+' || rest[e] == '-') {
				e++
			}
			if k := digits(rest[e:], isDigit); k > 0 {
				m = e + k
			}
		}
		// "1.2" behind a dot is two attributes, not a float.
		if m > n && !(l.i > 0 && l.src[l.i-1] == '.') {
			kind, n = tokFloat, m
		}
	}
	text := strings.ReplaceAll(rest[:n], "_", "")
	if kind == tokInt {
		if len(text) > 1 && text[0] == '0' && isDigit(text[1]) && strings.Trim(text, "0") != "" {
			return l.fail("the integer %s has leading zeros", text)
		}
		if _, err := strconv.ParseInt(text, 0, 64); err != nil {
			return l.fail("the integer %s does not fit 64 bits", text)
		}
	}
	l.emit(kind, text)
	l.skip(n)
	return nil
}

// quoted reads a string literal with Python's escapes.
func (l *lexer) quoted(quote byte) error {
	rest := l.src[l.i:]
	n := 1
	for n < len(rest) && rest[n] != quote {
		if rest[n] == '\\' {
			n++
		}
		n++
	}
	if n >= len(rest) {
		return l.fail("unexpected end of template inside a string")
	}
	text, bad := unescape(rest[1:n])
	if bad != "" {
		return l.fail("%s in a string", bad)
	}
	l.emit(tokString, text)
	l.skip(n + 1)
	return nil
}

var simpleEscapes = map[byte]string{
	'\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v", '\n': "",
}

// unescape decodes a Python string literal; an unknown escape keeps its backslash. bad says what is wrong with it.
func unescape(s string) (text, bad string) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, ""
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i]
		if t, ok := simpleEscapes[c]; ok {
			b.WriteString(t)
			continue
		}
		width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		switch {
		case c >= '0' && c <= '7':
			n := 1
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				n++
			}
			v, _ := strconv.ParseUint(s[i:i+n], 8, 32)
			b.WriteRune(rune(v))
			i += n - 1
		case width > 0:
			if i+1+width > len(s) {
				return "", "truncated \\" + string(c) + " escape"
			}
			v, err := strconv.ParseUint(s[i+1:i+1+width], 16, 32)
			if err != nil || v > utf8.MaxRune || v >= 0xd800 && v < 0xe000 {
				return "", "invalid \\" + string(c) + " escape"
			}
			b.WriteRune(rune(v))
			i += width
		case c == 'N':
			return "", "the \\N escape, which is not supported,"
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
