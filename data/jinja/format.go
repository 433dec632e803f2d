package jinja

import (
	"encoding/json"
	"strconv"
	"strings"
)

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
