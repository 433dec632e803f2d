package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxField bounds the width and precision of a formatted field.
const maxField = 1 << 16

// spec is how a value is formatted.
type spec struct {
	fill      rune // 0 = a space
	align     byte // < > ^ =, 0 = by type
	sign      byte // + or space
	alt, zero bool
	width     int
	comma     byte // , or _
	precision int  // -1 = not given
	kind      byte
}

// parseSpec reads the part of a replacement field behind ":".
func parseSpec(s string) (spec, error) {
	sp := spec{precision: -1}
	i := 0
	if c, w := utf8.DecodeRuneInString(s); w < len(s) && strings.IndexByte("<>=^", s[w]) >= 0 && s != "" {
		sp.fill, sp.align = c, s[w]
		i = w + 1
	} else if s != "" && strings.IndexByte("<>=^", s[0]) >= 0 {
		sp.align = s[0]
		i = 1
	}
	if i < len(s) && strings.IndexByte("+- ", s[i]) >= 0 {
		sp.sign = s[i]
		i++
	}
	if i < len(s) && s[i] == '#' {
		sp.alt = true
		i++
	}
	if i < len(s) && s[i] == '0' {
		sp.zero = sp.align == 0
		if sp.fill == 0 {
			sp.fill = '0'
		}
		i++
	}
	var err error
	if sp.width, err = fieldNumber(s, &i); err != nil {
		return sp, err
	}
	if i < len(s) && (s[i] == ',' || s[i] == '_') {
		sp.comma = s[i]
		i++
	}
	if i < len(s) && s[i] == '.' {
		i++
		if sp.precision, err = fieldNumber(s, &i); err != nil {
			return sp, err
		}
	}
	if i < len(s) {
		sp.kind = s[i]
		i++
	}
	if i < len(s) {
		return sp, fault("invalid format specifier '%s'", s)
	}
	return sp, nil
}

// fieldNumber reads digits at *i; no digits give 0.
func fieldNumber(s string, i *int) (int, error) {
	n := 0
	for ; *i < len(s) && isDigit(s[*i]); *i++ {
		if n = 10*n + int(s[*i]-'0'); n > maxField {
			return 0, limit("a formatted field may be %d characters wide", maxField)
		}
	}
	return n, nil
}

// pad fills a text to the width.
func (sp spec) pad(s *Str) *Str {
	n := sp.width - s.runes()
	if n <= 0 {
		return s
	}
	fill := sp.fill
	if fill == 0 {
		fill = ' '
	}
	left := 0
	switch sp.align {
	case '>', '=':
		left = n
	case '^':
		left = n / 2
	}
	var b builder
	b.plain(strings.Repeat(string(fill), left))
	b.str(s)
	b.plain(strings.Repeat(string(fill), n-left))
	return b.done()
}

// number formats an int64 or float64.
func (sp spec) number(v Value) (*Str, error) {
	var text string
	negative := false
	switch n := v.(type) {
	case int64:
		negative = n < 0
		u := uint64(n)
		if negative {
			u = -u
		}
		base, prefix := 10, ""
		switch sp.kind {
		case 'x', 'X':
			base, prefix = 16, "0x"
		case 'o':
			base, prefix = 8, "0o"
		case 'b':
			base, prefix = 2, "0b"
		}
		text = strconv.FormatUint(u, base)
		if sp.alt {
			text = prefix + text
		}
		if sp.kind == 'X' {
			text = strings.ToUpper(text)
		}
	case float64:
		negative = math.Signbit(n) && n == n
		text = sp.float(math.Abs(n))
	}
	if sp.comma != 0 {
		text = group(text, sp.comma)
	}
	sign := ""
	if negative {
		sign = "-"
	} else if sp.sign == '+' || sp.sign == ' ' {
		sign = string(sp.sign)
	}
	if sp.align == 0 {
		sp.align = '>'
	}
	if n := sp.width - len(sign) - utf8.RuneCountInString(text); n > 0 && (sp.zero && sp.align != '<' || sp.align == '=') {
		fill := sp.fill
		if sp.zero {
			fill = '0'
		} else if fill == 0 {
			fill = ' '
		}
		text = strings.Repeat(string(fill), n) + text
	}
	return sp.pad(plain(sign + text)), nil
}

// float formats a number without its sign.
func (sp spec) float(f float64) string {
	if math.IsInf(f, 0) || f != f {
		return strings.TrimPrefix(formatFloat(f), "+")
	}
	p := sp.precision
	if p < 0 {
		p = 6
	}
	p = min(p, 500)
	switch sp.kind {
	case 'f', 'F':
		return strconv.FormatFloat(f, 'f', p, 64)
	case '%':
		return strconv.FormatFloat(100*f, 'f', p, 64) + "%"
	case 'e', 'E':
		s := strconv.FormatFloat(f, 'e', p, 64)
		if sp.kind == 'E' {
			s = strings.ToUpper(s)
		}
		return s
	case 'g', 'G':
		return general(f, max(p, 1), sp.kind == 'G')
	}
	if sp.precision < 0 {
		return formatFloat(f)
	}
	s := general(f, max(p, 1), false)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// general is C's %g.
func general(f float64, p int, upper bool) string {
	e := strconv.FormatFloat(f, 'e', p-1, 64)
	exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	trim := func(s string) string {
		if strings.ContainsRune(s, '.') {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
	if f == 0 || exp >= -4 && exp < p {
		return trim(strconv.FormatFloat(f, 'f', max(p-1-exp, 0), 64))
	}
	i := strings.IndexByte(e, 'e')
	e = trim(e[:i]) + e[i:]
	if upper {
		e = strings.ToUpper(e)
	}
	return e
}

// group puts a separator between thousands.
func group(s string, sep byte) string {
	end := strings.IndexAny(s, ".e")
	if end < 0 {
		end = len(s)
	}
	out := s[end:]
	whole := s[:end]
	for len(whole) > 3 {
		out = string(sep) + whole[len(whole)-3:] + out
		whole = whole[:len(whole)-3]
	}
	return whole + out
}
