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
