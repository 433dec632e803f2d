package jinja

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxField bounds the width and precision of a formatted field.
const maxField = 1 << 16

// printf is Python's "format % args". Strings put in keep their origins.
func (r *run) printf(f *Str, args Value) (Value, error) {
	list := []Value{args}
	if t, ok := args.(*tuple); ok {
		list = t.items
	}
	mapping, _ := args.(*Dict)
	used := 0
	next := func() (Value, error) {
		if used >= len(list) {
			return nil, fault("not enough arguments for format string")
		}
		used++
		return list[used-1], nil
	}
	var b builder
	for i := 0; i < len(f.s); {
		k := strings.IndexByte(f.s[i:], '%')
		if k < 0 {
			b.str(f.sub(i, len(f.s)))
			break
		}
		b.str(f.sub(i, i+k))
		i += k + 1
		sp := spec{align: '>', precision: -1}
		var key *Str
		if i < len(f.s) && f.s[i] == '(' {
			end := strings.IndexByte(f.s[i:], ')')
			if end < 0 {
				return nil, fault("incomplete format key")
			}
			key = f.sub(i+1, i+end)
			i += end + 1
		}
		for ; i < len(f.s) && strings.IndexByte("-+ #0", f.s[i]) >= 0; i++ {
			switch f.s[i] {
			case '-':
				sp.align = '<'
			case '+', ' ':
				sp.sign = f.s[i]
			case '#':
				sp.alt = true
			case '0':
				sp.zero = true
			}
		}
		count := func() (int, error) {
			if i < len(f.s) && f.s[i] == '*' {
				i++
				v, err := next()
				if err != nil {
					return 0, err
				}
				n, ok := v.(int64)
				if !ok || n < 0 || n > maxField {
					return 0, fault("* wants an int between 0 and %d", maxField)
				}
				return int(n), nil
			}
			return fieldNumber(f.s, &i)
		}
		var err error
		if sp.width, err = count(); err != nil {
			return nil, err
		}
		if i < len(f.s) && f.s[i] == '.' {
			i++
			if sp.precision, err = count(); err != nil {
				return nil, err
			}
		}
		if i >= len(f.s) {
			return nil, fault("incomplete format")
		}
		c := f.s[i]
		i++
		if c == '%' {
			b.plain("%")
			continue
		}
		var v Value
		if key != nil {
			if mapping == nil {
				return nil, fault("format requires a mapping")
			}
			var ok bool
			if v, ok = mapping.get(key); !ok {
				return nil, fault("format: no key '%s'", key.s)
			}
			used = len(list)
		} else if v, err = next(); err != nil {
			return nil, err
		}
		s, err := r.percent(c, v, sp)
		if err != nil {
			return nil, err
		}
		b.str(s)
		if err := r.spend(len(s.s) + 8); err != nil {
			return nil, err
		}
	}
	if used < len(list) && mapping == nil {
		return nil, fault("not all arguments converted during string formatting")
	}
	return b.done(), r.spend(len(f.s))
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

func (r *run) percent(c byte, v Value, sp spec) (*Str, error) {
	if u, ok := v.(*undefined); ok && c != 's' && c != 'r' {
		return nil, u.complain()
	}
	sp.fill = ' '
	switch c {
	case 's', 'r', 'a':
		s, err := r.str(v)
		if c != 's' {
			p := &printer{r: r}
			if err = r.work(v); err == nil {
				err = p.repr(v)
			}
			s = p.out.done()
		}
		if err != nil {
			return nil, err
		}
		if sp.precision >= 0 {
			s = s.sub(0, runeOffset(s.s, sp.precision))
		}
		return sp.pad(s), nil
	case 'c':
		if n, ok := v.(int64); ok && utf8.ValidRune(rune(n)) && n >= 0 && n <= utf8.MaxRune {
			return sp.pad(plain(string(rune(n)))), nil
		}
		if s, ok := v.(*Str); ok && s.runes() == 1 {
			return sp.pad(s), nil
		}
		return nil, fault("%%c requires int or char")
	case 'd', 'i', 'u', 'x', 'X', 'o':
		n, f, isInt, ok := number(v)
		if !ok || (c == 'x' || c == 'X' || c == 'o') && !isInt {
			return nil, fault("%%%c format: a number is required, not %s", c, typeName(v))
		}
		if !isInt {
			n, ok = floatToInt(f, nil).(int64)
			if !ok {
				return nil, errTooLarge()
			}
		}
		if c == 'i' || c == 'u' {
			c = 'd'
		}
		sp.kind, sp.precision = c, -1
		return sp.number(n)
	case 'f', 'F', 'e', 'E', 'g', 'G':
		_, f, _, ok := number(v)
		if !ok {
			return nil, fault("must be real number, not %s", typeName(v))
		}
		sp.kind = c
		return sp.number(f)
	}
	return nil, fault("unsupported format character '%c'", c)
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

// formatValue is Python's format(v, spec).
func (r *run) formatValue(v Value, text string) (*Str, error) {
	if u, ok := v.(*undefined); ok && text != "" {
		return nil, u.complain()
	}
	if text == "" {
		return r.str(v)
	}
	sp, err := parseSpec(text)
	if err != nil {
		return nil, err
	}
	if b, ok := v.(bool); ok && sp.kind != 's' {
		v = map[bool]int64{true: 1}[b]
	}
	switch x := v.(type) {
	case *Str:
		if sp.kind != 0 && sp.kind != 's' {
			return nil, fault("unknown format code '%c' for object of type 'str'", sp.kind)
		}
		if sp.precision >= 0 {
			x = x.sub(0, runeOffset(x.s, sp.precision))
		}
		return sp.pad(x), nil
	case int64:
		switch sp.kind {
		case 0, 'd', 'x', 'X', 'o', 'b', 'n':
			return sp.number(x)
		case 'c':
			return r.percent('c', x, sp)
		case 'e', 'E', 'f', 'F', 'g', 'G', '%':
			return sp.number(float64(x))
		}
		return nil, fault("unknown format code '%c' for object of type 'int'", sp.kind)
	case float64:
		if sp.kind != 0 && strings.IndexByte("eEfFgGn%", sp.kind) < 0 {
			return nil, fault("unknown format code '%c' for object of type 'float'", sp.kind)
		}
		return sp.number(x)
	case bool:
		return sp.pad(plain(repr(x))), nil
	case json.Number:
		return sp.pad(plain(x.String())), nil
	}
	return nil, fault("unsupported format string passed to %s.__format__", typeName(v))
}

// format is str.format.
func (r *run) format(f *Str, args []Value, kw *Dict) (Value, error) {
	return r.formatIn(f, args, kw, new(int), 2)
}

func (r *run) formatIn(f *Str, args []Value, kw *Dict, auto *int, depth int) (*Str, error) {
	if depth == 0 {
		return nil, fault("max string recursion exceeded")
	}
	var b builder
	for i := 0; i < len(f.s); {
		k := strings.IndexAny(f.s[i:], "{}")
		if k < 0 {
			b.str(f.sub(i, len(f.s)))
			break
		}
		b.str(f.sub(i, i+k))
		i += k
		if i+1 < len(f.s) && f.s[i+1] == f.s[i] {
			b.str(f.sub(i, i+1))
			i += 2
			continue
		}
		if f.s[i] == '}' {
			return nil, fault("single '}' encountered in format string")
		}
		end, nested := i+1, 0
		for ; end < len(f.s) && (f.s[end] != '}' || nested > 0); end++ {
			switch f.s[end] {
			case '{':
				nested++
			case '}':
				nested--
			}
		}
		if end >= len(f.s) {
			return nil, fault("expected '}' before end of string")
		}
		s, err := r.field(f.sub(i+1, end), args, kw, auto, depth)
		if err == nil {
			err = r.spend(len(s.s) + 16)
		}
		if err != nil {
			return nil, err
		}
		b.str(s)
		i = end + 1
	}
	return b.done(), r.spend(len(f.s))
}

// field formats what stands between braces: name[!conversion][:spec].
func (r *run) field(f *Str, args []Value, kw *Dict, auto *int, depth int) (*Str, error) {
	name, text := f.s, plain("")
	if k := strings.IndexByte(f.s, ':'); k >= 0 {
		name, text = f.s[:k], f.sub(k+1, len(f.s))
	}
	conversion := ""
	if k := strings.IndexByte(name, '!'); k >= 0 {
		name, conversion = name[:k], name[k+1:]
	}
	v, err := r.fieldValue(name, args, kw, auto)
	if err != nil {
		return nil, err
	}
	switch conversion {
	case "":
	case "s":
		if v, err = r.str(v); err != nil {
			return nil, err
		}
	case "r":
		if v, err = r.percent('r', v, spec{precision: -1}); err != nil {
			return nil, err
		}
	default:
		return nil, fault("unknown conversion specifier '%s'", conversion)
	}
	if strings.ContainsAny(text.s, "{}") {
		if text, err = r.formatIn(text, args, kw, auto, depth-1); err != nil {
			return nil, err
		}
	}
	return r.formatValue(v, text.s)
}

// fieldValue finds the value of "0.name[key]".
func (r *run) fieldValue(name string, args []Value, kw *Dict, auto *int) (Value, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	head, rest := name[:end], name[end:]
	var v Value
	if n, err := strconv.Atoi(head); head == "" || err == nil {
		if head == "" {
			n = *auto
			*auto++
		}
		if n < 0 || n >= len(args) {
			return nil, fault("replacement index %d out of range for positional args tuple", n)
		}
		v = args[n]
	} else {
		ok := false
		if kw != nil {
			v, ok = kw.get(plain(head))
		}
		if !ok {
			return nil, fault("format: no argument named '%s'", head)
		}
	}
	for rest != "" {
		var err error
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			v, err = r.attr(v, plain(rest[1:1+end]))
			rest = rest[1+end:]
		} else {
			end := strings.IndexByte(rest, ']')
			if rest[0] != '[' || end < 0 {
				return nil, fault("malformed replacement field '%s'", name)
			}
			key := Value(plain(rest[1:end]))
			if n, err := strconv.ParseInt(rest[1:end], 10, 64); err == nil {
				key = n
			}
			v, err = r.item(v, key)
			rest = rest[end+1:]
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}
