package jinja

import (
	"strings"
	"unicode/utf8"
)

func partition(name string, index func(s, sep string) int) strMethod {
	return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "sep")
		if err != nil {
			return nil, err
		}
		sep, err := a.str(0, nil)
		if err != nil {
			return nil, err
		}
		if sep.s == "" {
			return nil, fault("empty separator")
		}
		i := index(s.s, sep.s)
		switch {
		case i >= 0:
			j := i + len(sep.s)
			return &tuple{[]Value{s.sub(0, i), s.sub(i, j), s.sub(j, len(s.s))}}, nil
		case name == "partition":
			return &tuple{[]Value{s, plain(""), plain("")}}, nil
		}
		return &tuple{[]Value{plain(""), plain(""), s}}, nil
	}
}

// split is str.split and, from the right, str.rsplit.
func split(name string, right bool) strMethod {
	return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		sep, err := a.optional(0)
		if err != nil {
			return nil, err
		}
		n, err := a.int(1, -1)
		if err != nil {
			return nil, err
		}
		if sep != nil && sep.s == "" {
			return nil, fault("empty separator")
		}
		if err := r.spend(64 + 2*len(s.s)); err != nil {
			return nil, err
		}
		var parts []*Str
		switch {
		case sep == nil:
			parts = splitSpace(s, n, right)
		case right:
			parts = splitRight(s, sep.s, n)
		default:
			at := 0
			for ; n != 0; n-- {
				i := index(s.s[at:], sep.s)
				if i < 0 {
					break
				}
				parts = append(parts, s.sub(at, at+i))
				at += i + len(sep.s)
			}
			parts = append(parts, s.sub(at, len(s.s)))
		}
		return listOf(parts), r.spend(64 * len(parts))
	}
}

func listOf(parts []*Str) *List {
	l := &List{make([]Value, len(parts))}
	for i, p := range parts {
		l.items[i] = p
	}
	return l
}

func splitRight(s *Str, sep string, n int64) []*Str {
	var parts []*Str
	end := len(s.s)
	for ; n != 0; n-- {
		i := lastIndex(s.s[:end], sep)
		if i < 0 {
			break
		}
		parts = append(parts, s.sub(i+len(sep), end))
		end = i
	}
	parts = append(parts, s.sub(0, end))
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return parts
}

// splitSpace splits at runs of white space.
func splitSpace(s *Str, n int64, right bool) []*Str {
	var parts []*Str
	notSpace := func(c rune) bool { return !isSpace(c) }
	if right {
		end := len(s.strip(nil, false, true).s)
		for end > 0 {
			i := strings.LastIndexFunc(s.s[:end], isSpace)
			if i < 0 || n == 0 {
				parts = append(parts, s.sub(0, end))
				break
			}
			_, w := utf8.DecodeRuneInString(s.s[i:])
			parts = append(parts, s.sub(i+w, end))
			end = len(strings.TrimRightFunc(s.s[:i], isSpace))
			n--
		}
		for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
			parts[i], parts[j] = parts[j], parts[i]
		}
		return parts
	}
	at := 0
	for {
		i := strings.IndexFunc(s.s[at:], notSpace)
		if i < 0 {
			return parts
		}
		at += i
		j := strings.IndexFunc(s.s[at:], isSpace)
		if j < 0 || n == 0 {
			return append(parts, s.sub(at, len(s.s)))
		}
		parts = append(parts, s.sub(at, at+j))
		at += j
		n--
	}
}

func splitLines(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
	a, err := bind("splitlines", args, kw, "keepends")
	if err != nil {
		return nil, err
	}
	if err := r.spend(64 + 2*len(s.s)); err != nil {
		return nil, err
	}
	keep := truth(a.or(0, false))
	var parts []*Str
	start := 0
	for i := 0; i < len(s.s); {
		c, w := utf8.DecodeRuneInString(s.s[i:])
		if !(c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029) {
			i += w
			continue
		}
		end := i
		if i += w; c == '\r' && i < len(s.s) && s.s[i] == '\n' {
			i++
		}
		if keep {
			end = i
		}
		parts = append(parts, s.sub(start, end))
		start = i
	}
	if start < len(s.s) {
		parts = append(parts, s.sub(start, len(s.s)))
	}
	return listOf(parts), r.spend(64 * len(parts))
}

// join is sep.join(items).
func (r *run) join(sep *Str, items []*Str) (*Str, error) {
	n := 0
	for _, s := range items {
		n += s.size() + sep.size() + 8
	}
	if err := r.spend(n); err != nil {
		return nil, err
	}
	return join(sep, items), nil
}
