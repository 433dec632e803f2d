package jinja

import (
	"strings"
	"unicode/utf8"
)

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
		d, err := parseDirective(f, &i, next)
		if err != nil {
			return nil, err
		}
		if d.verb == '%' {
			b.plain("%")
			continue
		}
		var v Value
		if d.key != nil {
			if mapping == nil {
				return nil, fault("format requires a mapping")
			}
			var ok bool
			if v, ok = mapping.get(d.key); !ok {
				return nil, fault("format: no key '%s'", d.key.s)
			}
			used = len(list)
		} else if v, err = next(); err != nil {
			return nil, err
		}
		s, err := r.percent(d.verb, v, d.spec)
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

// directive is what stands behind a "%": [(key)][flags][width][.precision]verb.
type directive struct {
	spec
	key  *Str // nil = none
	verb byte
}

// parseDirective reads the directive at *i of f and moves *i behind it; next gives the values of "*".
func parseDirective(f *Str, i *int, next func() (Value, error)) (directive, error) {
	d := directive{spec: spec{align: '>', precision: -1}}
	at := func(c byte) bool { return *i < len(f.s) && f.s[*i] == c }
	if at('(') {
		end := strings.IndexByte(f.s[*i:], ')')
		if end < 0 {
			return d, fault("incomplete format key")
		}
		d.key = f.sub(*i+1, *i+end)
		*i += end + 1
	}
	for ; *i < len(f.s) && strings.IndexByte("-+ #0", f.s[*i]) >= 0; *i++ {
		switch f.s[*i] {
		case '-':
			d.align = '<'
		case '+', ' ':
			d.sign = f.s[*i]
		case '#':
			d.alt = true
		case '0':
			d.zero = true
		}
	}
	count := func() (int, error) {
		if !at('*') {
			return fieldNumber(f.s, i)
		}
		*i++
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
	var err error
	if d.width, err = count(); err != nil {
		return d, err
	}
	if at('.') {
		*i++
		if d.precision, err = count(); err != nil {
			return d, err
		}
	}
	if *i >= len(f.s) {
		return d, fault("incomplete format")
	}
	d.verb = f.s[*i]
	*i++
	return d, nil
}

// percent formats one value as a directive with this verb does.
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
