package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type strMethod func(r *run, s *Str, args []Value, kw *Dict) (Value, error)

// strMethods are the methods of Python's str.
func strMethods() map[string]strMethod {
	noArgs := func(name string, f func(s *Str) Value) strMethod {
		return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			if _, err := bind(name, args, kw); err != nil {
				return nil, err
			}
			return f(s), r.spend(8 + 2*len(s.s))
		}
	}
	strip := func(name string, left, right bool) strMethod {
		return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			a, err := bind(name, args, kw, "chars")
			if err != nil {
				return nil, err
			}
			chars, err := a.optional(0)
			if err != nil {
				return nil, err
			}
			if chars != nil {
				if err := r.spendSteps(len(s.s) / 64 * (1 + len(chars.s)/64)); err != nil {
					return nil, err
				}
			}
			return s.strip(chars, left, right), r.spendSteps(len(s.s) / 64)
		}
	}
	all := func(name string, f func(s string) bool) strMethod {
		return noArgs(name, func(s *Str) Value { return f(s.s) })
	}
	every := func(name string, f func(c rune) bool) strMethod {
		return all(name, func(s string) bool {
			return s != "" && strings.IndexFunc(s, func(c rune) bool { return !f(c) }) < 0
		})
	}
	alnum := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }
	return map[string]strMethod{
		"strip":      strip("strip", true, true),
		"lstrip":     strip("lstrip", true, false),
		"rstrip":     strip("rstrip", false, true),
		"upper":      noArgs("upper", func(s *Str) Value { return s.upper() }),
		"lower":      noArgs("lower", func(s *Str) Value { return s.lower() }),
		"casefold":   noArgs("casefold", func(s *Str) Value { return s.lower() }),
		"title":      noArgs("title", func(s *Str) Value { return s.title() }),
		"capitalize": noArgs("capitalize", func(s *Str) Value { return s.capitalize() }),
		"swapcase":   noArgs("swapcase", func(s *Str) Value { return s.swapcase() }),
		"isdigit":    every("isdigit", isDigitRune),
		"isdecimal":  every("isdecimal", unicode.IsDigit),
		"isnumeric":  every("isnumeric", unicode.IsNumber),
		"isalpha":    every("isalpha", unicode.IsLetter),
		"isalnum":    every("isalnum", alnum),
		"isspace":    every("isspace", isSpace),
		"isascii":    all("isascii", func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return c > 127 }) < 0 }),
		"istitle":    all("istitle", isTitle),
		"isupper":    all("isupper", func(s string) bool { return cased(s, unicode.IsLower) }),
		"islower":    all("islower", func(s string) bool { return cased(s, unicode.IsUpper) }),
		"isidentifier": all("isidentifier", func(s string) bool {
			for i, c := range s {
				if c != '_' && !unicode.IsLetter(c) && (i == 0 || !unicode.IsDigit(c)) {
					return false
				}
			}
			return s != ""
		}),
		"startswith": affix("startswith", strings.HasPrefix),
		"endswith":   affix("endswith", strings.HasSuffix),
		"removeprefix": removeAffix("removeprefix", func(s *Str, x string) *Str {
			if strings.HasPrefix(s.s, x) {
				return s.sub(len(x), len(s.s))
			}
			return s
		}),
		"removesuffix": removeAffix("removesuffix", func(s *Str, x string) *Str {
			if strings.HasSuffix(s.s, x) {
				return s.sub(0, len(s.s)-len(x))
			}
			return s
		}),
		"split":      split("split", false),
		"rsplit":     split("rsplit", true),
		"splitlines": splitLines,
		"partition":  partition("partition", strings.Index),
		"rpartition": partition("rpartition", strings.LastIndex),
		"find":       find("find", strings.Index, false),
		"rfind":      find("rfind", strings.LastIndex, false),
		"index":      find("index", strings.Index, true),
		"rindex":     find("rindex", strings.LastIndex, true),
		"count": func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			a, err := bind("count", args, kw, "sub")
			if err != nil {
				return nil, err
			}
			sub, err := a.str(0, nil)
			if err != nil {
				return nil, err
			}
			return int64(strings.Count(s.s, sub.s)), r.spendSteps(len(s.s) / 64)
		},
		"replace": func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			a, err := bind("replace", args, kw, "old", "new", "count")
			if err != nil {
				return nil, err
			}
			return r.replace(s, a)
		},
		"join": func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			a, err := bind("join", args, kw, "iterable")
			if err != nil {
				return nil, err
			}
			items, err := r.iterate(a.or(0, nil))
			if err != nil {
				return nil, err
			}
			parts := make([]*Str, len(items))
			for i, it := range items {
				p, ok := it.(*Str)
				if !ok {
					return nil, fault("sequence item %d: expected str instance, %s found", i, typeName(it))
				}
				parts[i] = p
			}
			return r.join(s, parts)
		},
		"format": func(r *run, s *Str, args []Value, kw *Dict) (Value, error) { return r.format(s, args, kw) },
		"center": pad("center", func(n, width int64) int64 { return n/2 + n&width&1 }),
		"ljust":  pad("ljust", func(_, _ int64) int64 { return 0 }),
		"rjust":  pad("rjust", func(n, _ int64) int64 { return n }),
		"zfill": func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			a, err := bind("zfill", args, kw, "width")
			if err != nil {
				return nil, err
			}
			n, err := a.int(0, 0)
			if err != nil {
				return nil, err
			}
			sign := 0
			if s.s != "" && (s.s[0] == '+' || s.s[0] == '-') {
				sign = 1
			}
			zeros, err := r.padding(plain("0"), n-int64(s.runes()))
			if err != nil {
				return nil, err
			}
			return concat(concat(s.sub(0, sign), zeros), s.sub(sign, len(s.s))), nil
		},
		"expandtabs": func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			a, err := bind("expandtabs", args, kw, "tabsize")
			if err != nil {
				return nil, err
			}
			size, err := a.int(0, 8)
			if err != nil {
				return nil, err
			}
			size = min(max(size, 0), 1000)
			if err := r.spend(len(s.s) + strings.Count(s.s, "\t")*int(size)); err != nil {
				return nil, err
			}
			col := int64(0)
			return s.mapRunes(func(_ int, c rune) string {
				switch {
				case c == '\t' && size == 0:
					return ""
				case c == '\t':
					n := size - col%size
					col += n
					return strings.Repeat(" ", int(n))
				case c == '\n' || c == '\r':
					col = -1
				}
				col++
				return string(c)
			}), nil
		},
	}
}

// isDigitRune is Python's str.isdigit for one character: decimal digits, and those raised, lowered or in circles.
func isDigitRune(c rune) bool {
	return unicode.IsDigit(c) || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || c >= 0x2074 && c <= 0x2079 ||
		c >= 0x2080 && c <= 0x2089 || c >= 0x2460 && c <= 0x2468 || c >= 0x2474 && c <= 0x247c || c >= 0x2488 && c <= 0x2490
}

// isTitle: capitals begin words and stand nowhere else, and there is one.
func isTitle(s string) bool {
	inWord, any := false, false
	for _, c := range s {
		switch {
		case unicode.IsUpper(c) || unicode.IsTitle(c):
			if inWord {
				return false
			}
			inWord, any = true, true
		case unicode.IsLower(c):
			if !inWord {
				return false
			}
		default:
			inWord = false
		}
	}
	return any
}

// cased: the text has letters with case, and none for which wrong holds.
func cased(s string, wrong func(rune) bool) bool {
	any := false
	for _, c := range s {
		if wrong(c) || unicode.IsTitle(c) {
			return false
		}
		any = any || unicode.IsUpper(c) || unicode.IsLower(c)
	}
	return any
}

// window reads the optional start and end (in characters) of startswith, find and their kind.
func window(s *Str, a bound, i int) (from, to int, err error) {
	n := int64(s.runes())
	edge := func(i int, def int64) (int64, error) {
		if a.or(i, nil) == nil {
			return def, nil
		}
		v, err := a.int(i, def)
		if v < 0 {
			v += n
		}
		return max(v, 0), err
	}
	lo, err := edge(i, 0)
	if err != nil {
		return 0, 0, err
	}
	hi, err := edge(i+1, n)
	if err != nil || lo > n || lo > hi {
		return -1, 0, err
	}
	return runeOffset(s.s, int(lo)), runeOffset(s.s, int(min(hi, n))), nil
}

func affix(name string, has func(s, affix string) bool) strMethod {
	return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "affix", "start", "end")
		if err != nil {
			return nil, err
		}
		from, to, err := window(s, a, 1)
		if err != nil {
			return nil, err
		}
		text := ""
		if from >= 0 {
			text = s.s[from:to]
		}
		if t, ok := a.or(0, nil).(*tuple); ok {
			for _, it := range t.items {
				x, ok := it.(*Str)
				if !ok {
					return nil, fault("tuple for %s must only contain str, not %s", name, typeName(it))
				}
				if from >= 0 && has(text, x.s) {
					return true, nil
				}
			}
			return false, nil
		}
		x, err := a.str(0, nil)
		if err != nil {
			return nil, err
		}
		return from >= 0 && has(text, x.s), nil
	}
}

func removeAffix(name string, f func(s *Str, x string) *Str) strMethod {
	return func(_ *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "affix")
		if err != nil {
			return nil, err
		}
		x, err := a.str(0, nil)
		if err != nil {
			return nil, err
		}
		return f(s, x.s), nil
	}
}

func find(name string, index func(s, sub string) int, must bool) strMethod {
	return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "sub", "start", "end")
		if err != nil {
			return nil, err
		}
		sub, err := a.str(0, nil)
		if err != nil {
			return nil, err
		}
		from, to, err := window(s, a, 1)
		if err != nil {
			return nil, err
		}
		if err := r.spendSteps(len(s.s) / 64); err != nil {
			return nil, err
		}
		if from >= 0 {
			if i := index(s.s[from:to], sub.s); i >= 0 {
				return int64(utf8.RuneCountInString(s.s[:from+i])), nil
			}
		}
		if must {
			return nil, fault("substring not found")
		}
		return int64(-1), nil
	}
}

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
		if err := r.spendSteps(len(s.s) / 64); err != nil {
			return nil, err
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

// pad fills a string to a width; left is how many of n fill characters go before it.
func pad(name string, left func(n, width int64) int64) strMethod {
	return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "width", "fillchar")
		if err != nil {
			return nil, err
		}
		width, err := a.int(0, 0)
		if err != nil {
			return nil, err
		}
		fill, err := a.str(1, plain(" "))
		if err != nil {
			return nil, err
		}
		if fill.runes() != 1 {
			return nil, fault("the fill character must be exactly one character long")
		}
		n := width - int64(s.runes())
		if n <= 0 {
			return s, nil
		}
		all, err := r.padding(fill, n)
		if err != nil {
			return nil, err
		}
		i := runeOffset(all.s, int(left(n, width)))
		return concat(concat(all.sub(0, i), s), all.sub(i, len(all.s))), nil
	}
}

// padding is fill n times.
func (r *run) padding(fill *Str, n int64) (*Str, error) {
	v, _, err := r.times(fill, max(n, 0))
	if err != nil {
		return nil, err
	}
	return v.(*Str), nil
}

// join is sep.join(items).
func (r *run) join(sep *Str, items []*Str) (*Str, error) {
	n := 0
	for _, s := range items {
		n += len(s.s) + len(sep.s) + 8
	}
	if err := r.spend(n); err != nil {
		return nil, err
	}
	return join(sep, items), nil
}

// replace is str.replace with old, new and count bound.
func (r *run) replace(s *Str, a bound) (Value, error) {
	old, err := a.str(0, nil)
	if err != nil {
		return nil, err
	}
	with, err := a.str(1, nil)
	if err != nil {
		return nil, err
	}
	count := int64(-1)
	if a.or(2, nil) != nil {
		if count, err = a.int(2, -1); err != nil {
			return nil, err
		}
	}
	n := strings.Count(s.s, old.s)
	if err := r.spend(len(s.s) + n*(len(with.s)+8)); err != nil {
		return nil, err
	}
	return s.replace(old.s, with, int(max(count, -1))), nil
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
				i := strings.Index(s.s[at:], sep.s)
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
		i := strings.LastIndex(s.s[:end], sep)
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

type dictMethod func(r *run, d *Dict, args []Value, kw *Dict) (Value, error)

// dictMethods are the methods of Python's dict that change nothing.
func dictMethods() map[string]dictMethod {
	return map[string]dictMethod{
		"items": func(r *run, d *Dict, _ []Value, _ *Dict) (Value, error) {
			v := &view{kind: "dict_items", items: pairs(d)}
			return v, r.spend(64 * len(d.keys))
		},
		"keys":   func(_ *run, d *Dict, _ []Value, _ *Dict) (Value, error) { return &view{"dict_keys", d.keys}, nil },
		"values": func(_ *run, d *Dict, _ []Value, _ *Dict) (Value, error) { return &view{"dict_values", d.vals}, nil },
		"copy":   func(_ *run, d *Dict, _ []Value, _ *Dict) (Value, error) { return d, nil },
		"get": func(_ *run, d *Dict, args []Value, kw *Dict) (Value, error) {
			a, err := bind("get", args, kw, "key", "default")
			if err != nil {
				return nil, err
			}
			if _, ok := hashable(a.or(0, nil)); !ok {
				return nil, fault("unhashable type: '%s'", typeName(a.vals[0]))
			}
			if v, ok := d.get(a.or(0, nil)); ok {
				return v, nil
			}
			return a.or(1, nil), nil
		},
	}
}

func pairs(d *Dict) []Value {
	out := make([]Value, len(d.keys))
	for i, k := range d.keys {
		out[i] = &tuple{[]Value{k, d.vals[i]}}
	}
	return out
}
