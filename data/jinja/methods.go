package jinja

import (
	"strings"
	"unicode"
)

type strMethod func(r *run, s *Str, args []Value, kw *Dict) (Value, error)

// strMethods are the methods of Python's str.
func strMethods() map[string]strMethod {
	noArgs := func(name string, f func(s *Str) Value) strMethod {
		return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			if _, err := bind(name, args, kw); err != nil {
				return nil, err
			}
			if err := r.spend(8 + 2*len(s.s)); err != nil {
				return nil, err
			}
			out := f(s)
			return out, r.grown(out, 2*len(s.s))
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
			return s.strip(chars, left, right), nil
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
		"partition":  partition("partition", index),
		"rpartition": partition("rpartition", lastIndex),
		"find":       find("find", index, false),
		"rfind":      find("rfind", lastIndex, false),
		"index":      find("index", index, true),
		"rindex":     find("rindex", lastIndex, true),
		"count": func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			a, err := bind("count", args, kw, "sub")
			if err != nil {
				return nil, err
			}
			sub, err := a.str(0, nil)
			if err != nil {
				return nil, err
			}
			return int64(count(s.s, sub.s)), nil
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
		"format":     func(r *run, s *Str, args []Value, kw *Dict) (Value, error) { return r.format(s, args, kw) },
		"center":     pad("center", func(n, width int64) int64 { return n/2 + n&width&1 }),
		"ljust":      pad("ljust", func(_, _ int64) int64 { return 0 }),
		"rjust":      pad("rjust", func(n, _ int64) int64 { return n }),
		"zfill":      zfill,
		"expandtabs": expandTabs,
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
