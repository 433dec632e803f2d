package jinja

import (
	"math"
	"strings"
	"unicode"
)

type filterFunc func(r *run, v Value, args []Value, kw *Dict) (Value, error)

func (r *run) filter(e *filterExpr, s *scope) (Value, error) {
	v := Value(r.body)
	if e.x != nil {
		var err error
		if v, err = r.eval(e.x, s); err != nil {
			return nil, err
		}
	}
	args, kw, err := r.arguments(&e.args, s)
	if err != nil {
		return nil, err
	}
	return r.applyFilter(e.name, v, args, kw)
}

func (r *run) applyFilter(name string, v Value, args []Value, kw *Dict) (Value, error) {
	f, ok := r.t.lang.filters[name]
	if !ok {
		return nil, fault("no filter named '%s'", name)
	}
	return f(r, v, args, kw)
}

// textFilter is a filter on str(value) with the given parameters.
func textFilter(name string, f func(r *run, s *Str, a bound) (Value, error), params ...string) filterFunc {
	return func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, params...)
		if err != nil {
			return nil, err
		}
		s, err := r.str(v)
		if err != nil {
			return nil, err
		}
		if err := r.spend(8 + len(s.s)); err != nil {
			return nil, err
		}
		out, err := f(r, s, a)
		if err != nil {
			return nil, err
		}
		return out, r.grown(out, len(s.s))
	}
}

// textFilters are the filters of strings and numbers.
func textFilters() map[string]filterFunc {
	simple := func(name string, f func(s *Str) *Str) filterFunc {
		return textFilter(name, func(_ *run, s *Str, _ bound) (Value, error) { return f(s), nil })
	}
	escape := simple("escape", func(s *Str) *Str {
		if !strings.ContainsAny(s.s, `&<>'"`) {
			return s
		}
		return s.mapRunes(func(_ int, c rune) string {
			switch c {
			case '&':
				return "&amp;"
			case '<':
				return "&lt;"
			case '>':
				return "&gt;"
			case '\'':
				return "&#39;"
			case '"':
				return "&#34;"
			}
			return string(c)
		})
	})
	return map[string]filterFunc{
		"upper":      simple("upper", (*Str).upper),
		"lower":      simple("lower", (*Str).lower),
		"capitalize": simple("capitalize", (*Str).capitalize),
		"title":      simple("title", titleFilter),
		"string":     simple("string", func(s *Str) *Str { return s }),
		"safe":       simple("safe", func(s *Str) *Str { return s }),
		"escape":     escape,
		"e":          escape,
		"trim": textFilter("trim", func(_ *run, s *Str, a bound) (Value, error) {
			chars, err := a.optional(0)
			return s.strip(chars, true, true), err
		}, "chars"),
		"replace": textFilter("replace", func(r *run, s *Str, a bound) (Value, error) { return r.replace(s, a) }, "old", "new", "count"),
		"center": func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			a, err := bind("center", args, kw, "width")
			if err != nil {
				return nil, err
			}
			s, err := r.str(v)
			if err != nil {
				return nil, err
			}
			return r.t.lang.strMethods["center"](r, s, []Value{a.or(0, int64(80))}, nil)
		},
		"indent":    textFilter("indent", indent, "width", "first", "blank"),
		"truncate":  textFilter("truncate", truncate, "length", "killwords", "end", "leeway"),
		"wordwrap":  textFilter("wordwrap", wordwrap, "width", "break_long_words", "wrapstring", "break_on_hyphens"),
		"wordcount": textFilter("wordcount", func(_ *run, s *Str, _ bound) (Value, error) { return int64(words(s.s)), nil }),
		"striptags": textFilter("striptags", func(_ *run, s *Str, _ bound) (Value, error) { return stripTags(s), nil }),
		"format": func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			s, err := r.str(v)
			if err != nil {
				return nil, err
			}
			if kw != nil && len(args) > 0 {
				return nil, fault("format takes positional or named arguments, not both")
			}
			if kw != nil {
				return r.printf(s, kw)
			}
			return r.printf(s, &tuple{args})
		},
		"urlencode": func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			if _, err := bind("urlencode", args, kw); err != nil {
				return nil, err
			}
			return r.urlencode(v)
		},
		"int":            toInt,
		"float":          toFloat,
		"abs":            abs,
		"round":          round,
		"filesizeformat": fileSize,
		"tojson":         (*run).toJSON,
		"pprint": func(r *run, v Value, _ []Value, _ *Dict) (Value, error) {
			if err := r.work(v); err != nil {
				return nil, err
			}
			p := &printer{r: r}
			err := p.repr(v)
			return p.out.done(), err
		},
		"default": defaultFilter,
		"d":       defaultFilter,
		"attr": func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			a, err := bind("attr", args, kw, "name")
			if err != nil {
				return nil, err
			}
			name, err := a.str(0, nil)
			if err != nil {
				return nil, err
			}
			got, ok, err := r.ownAttr(v, name.s)
			if err != nil || ok {
				return got, err
			}
			return missing(v, name), nil
		},
	}
}

func defaultFilter(_ *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("default", args, kw, "default_value", "boolean")
	if err != nil {
		return nil, err
	}
	if _, undef := v.(*undefined); undef || truth(a.or(1, false)) && !truth(v) {
		return a.or(0, plain("")), nil
	}
	return v, nil
}

// titleFilter is Jinja's own: words begin behind white space, "-", "(", "{", "[" and "<", the rest becomes small.
func titleFilter(s *Str) *Str {
	first := true
	return s.mapRunes(func(i int, c rune) string {
		begin := first
		first = isSpace(c) || strings.ContainsRune("-({[<", c)
		if begin {
			return upperRune(c)
		}
		return lowerAt(s.s, i, c)
	})
}

// lines cuts a string behind its line ends, which stay.
func lines(s *Str) []*Str {
	var out []*Str
	at := 0
	for {
		i := strings.IndexByte(s.s[at:], '\n')
		if i < 0 {
			return append(out, s.sub(at, len(s.s)))
		}
		out = append(out, s.sub(at, at+i+1))
		at += i + 1
	}
}

func indent(r *run, s *Str, a bound) (Value, error) {
	by, ok := a.or(0, int64(4)).(*Str)
	if !ok {
		n, err := a.int(0, 4)
		if err != nil {
			return nil, err
		}
		if by, err = r.padding(plain(" "), n); err != nil {
			return nil, err
		}
	}
	all := lines(s)
	if err := r.spend(len(all) * (len(by.s) + 32)); err != nil {
		return nil, err
	}
	var b builder
	for i, line := range all {
		blank := line.s == "" || line.s == "\n"
		if (i > 0 || truth(a.or(1, false))) && (!blank || truth(a.or(2, false))) && !(i == len(all)-1 && i > 0 && line.s == "" && !truth(a.or(2, false))) {
			b.str(by)
		}
		b.str(line)
	}
	return b.done(), nil
}

func truncate(_ *run, s *Str, a bound) (Value, error) {
	length, err := a.int(0, 255)
	if err != nil {
		return nil, err
	}
	end, err := a.str(2, plain("..."))
	if err != nil {
		return nil, err
	}
	leeway := int64(5)
	if a.or(3, nil) != nil {
		if leeway, err = a.int(3, 5); err != nil {
			return nil, err
		}
	}
	if length < int64(end.runes()) || leeway < 0 {
		return nil, fault("truncate: expected length >= %d and leeway >= 0, got %d and %d", end.runes(), length, leeway)
	}
	if int64(s.runes()) <= length || leeway < math.MaxInt64-length && int64(s.runes()) <= length+leeway {
		return s, nil
	}
	cut := s.sub(0, runeOffset(s.s, int(length)-end.runes()))
	if !truth(a.or(1, false)) {
		if i := strings.LastIndexByte(cut.s, ' '); i >= 0 {
			cut = cut.sub(0, i)
		}
	}
	return concat(cut, end), nil
}

func words(s string) int {
	n, in := 0, false
	for _, c := range s {
		word := c == '_' || unicode.IsLetter(c) || unicode.IsNumber(c)
		if word && !in {
			n++
		}
		in = word
	}
	return n
}

func stripTags(s *Str) *Str {
	var b builder
	at := 0
	for {
		i := strings.IndexByte(s.s[at:], '<')
		if i < 0 {
			break
		}
		end := strings.IndexByte(s.s[at+i:], '>')
		if strings.HasPrefix(s.s[at+i:], "<!--") {
			if end = strings.Index(s.s[at+i:], "-->"); end >= 0 {
				end += 2
			}
		}
		if end < 0 {
			break
		}
		b.str(s.sub(at, at+i))
		at += i + end + 1
	}
	b.str(s.sub(at, len(s.s)))
	return join(plain(" "), splitSpace(b.done(), -1, false))
}
