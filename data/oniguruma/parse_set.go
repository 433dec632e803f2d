package oniguruma

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape reads what follows the \ at byte at: a character or a set, to which word is what \w means there.
func (p *parser) escape(at int, word func() set) (rune, set, error) {
	if p.i == len(p.src) {
		return 0, nil, p.errorf(at, `a \ at the end`)
	}
	switch c := p.char(); c {
	case 't', 'n', 'v', 'f', 'r', 'a', 'e':
		return rune("\t\n\v\f\r\a\x1b"[strings.IndexRune("tnvfrae", c)]), nil, nil
	case 's':
		return 0, spaces(), nil
	case 'S':
		return 0, spaces().complement(), nil
	case 'd':
		return 0, digits(), nil
	case 'D':
		return 0, digits().complement(), nil
	case 'w':
		return 0, word(), nil
	case 'W':
		return 0, word().complement(), nil
	case 'h':
		return 0, hex, nil
	case 'H':
		return 0, hex.complement(), nil
	case 'p', 'P':
		s, err := p.property(at, c == 'P')
		return 0, s, err
	case 'x', 'u':
		r, err := p.codePoint(at, c)
		return r, nil, err
	default:
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			return 0, nil, p.errorf(at, `\%c is not supported`, c)
		}
		return c, nil, nil
	}
}

// property reads {Name} or {^Name}.
func (p *parser) property(at int, negated bool) (set, error) {
	name, _, closed := strings.Cut(p.rest(), "}")
	if !strings.HasPrefix(name, "{") || !closed {
		return nil, p.errorf(at, `a \p without {name}`)
	}
	p.i += len(name) + 1
	name = name[1:]
	if strings.HasPrefix(name, "^") {
		name, negated = name[1:], !negated
	}
	make, ok := properties()[plainName(name)]
	if !ok {
		return nil, p.errorf(at, `the property \p{%.40s} is not supported`, name)
	}
	if negated {
		return make().complement(), nil
	}
	return make(), nil
}

// codePoint reads HH or {H...} behind \x, HHHH behind \u.
func (p *parser) codePoint(at int, kind rune) (rune, error) {
	digits, _, closed := strings.Cut(strings.TrimPrefix(p.rest(), "{"), "}")
	braces := kind == 'x' && closed && strings.HasPrefix(p.rest(), "{")
	most := rune(utf8.MaxRune)
	switch {
	case braces:
		p.i += len(digits) + 2
	default:
		n := 2
		if kind == 'u' {
			n = 4
		} else {
			most = utf8.RuneSelf - 1 // beyond it \xHH is a byte of UTF-8
		}
		digits = p.rest()[:min(n, len(p.rest()))]
		if len(digits) < n {
			return 0, p.errorf(at, `a \%c with fewer than %d digits is not supported`, kind, n)
		}
		p.i += n
	}
	v, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || v > uint64(most) || v >= 0xd800 && v < 0xe000 {
		return 0, p.errorf(at, `the character \%c%.12s is not supported`, kind, digits)
	}
	return rune(v), nil
}

// bracket reads a set up to its ], the [ at byte at is read.
func (p *parser) bracket(at int) (set, error) {
	s, negated, err := p.members(at)
	if err != nil {
		return nil, err
	}
	if p.fold {
		if s, err = foldSet(s, negated); err != nil {
			return nil, p.errorf(at, "%v", err)
		}
	}
	if negated {
		s = s.complement()
	}
	return s, nil
}

// members reads a set without its ^.
func (p *parser) members(at int) (_ set, negated bool, err error) {
	if p.depth++; p.depth > maxNesting {
		return nil, false, p.errorf(at, "sets nested more than %d deep", maxNesting)
	}
	defer func() { p.depth-- }()
	negated = p.take("^")
	var parts []set
	var common set // of what stands before &&
	both := false
	const (
		begin  = iota // nothing yet
		single        // a character, which may begin a range
		closed        // a range or a set
	)
	state := begin
	var last rune
	for first := true; ; first = false {
		here := p.i
		switch {
		case p.i == len(p.src):
			return nil, false, p.errorf(at, "a [ without its ]")
		case p.src[p.i] == ']' && !first:
			p.i++
			s := union(parts...)
			if both {
				s = s.and(common)
			}
			return s, negated, nil
		case strings.HasPrefix(p.rest(), "[:"):
			s, err := p.named(here)
			if err != nil {
				return nil, false, err
			}
			parts, state = append(parts, s), closed
		case p.take("["):
			s, inner, err := p.members(here)
			if err != nil {
				return nil, false, err
			}
			if inner {
				s = s.complement()
			}
			parts, state = append(parts, s), closed
		case p.take("&&"):
			s := union(parts...)
			if both {
				s = s.and(common)
			}
			common, both, parts, state = s, true, nil, begin
		case p.src[p.i] == '-' && state == single && !strings.HasPrefix(p.rest(), "-]"):
			p.i++
			r, s, err := p.member(here)
			if err != nil {
				return nil, false, err
			}
			if s != nil || r < last {
				return nil, false, p.errorf(here, "a range that ends in a set or before it begins is not supported")
			}
			parts, state = append(parts, set{{last, r}}), closed
		case p.src[p.i] == '-' && state == closed && !strings.HasPrefix(p.rest(), "-]"):
			return nil, false, p.errorf(here, "a - behind a range or a set is not supported; write it last")
		default:
			r, s, err := p.member(here)
			if err != nil {
				return nil, false, err
			}
			state = closed
			if s == nil {
				s, last, state = one(r), r, single
			}
			parts = append(parts, s)
		}
	}
}

// member reads a character or an escape within a set.
func (p *parser) member(at int) (rune, set, error) {
	switch {
	case p.i == len(p.src), strings.HasPrefix(p.rest(), "["), strings.HasPrefix(p.rest(), "&&"):
		return 0, nil, p.errorf(at, "a range without its end is not supported")
	case p.take(`\b`):
		return '\b', nil, nil
	case p.take(`\`):
		return p.escape(at, words)
	}
	return p.char(), nil, nil
}

// named reads [:name:] or [:^name:].
func (p *parser) named(at int) (set, error) {
	name, _, closed := strings.Cut(p.src[p.i+2:], ":]")
	plain, negated := strings.CutPrefix(name, "^")
	make, ok := posix[plain]
	if !closed || !ok {
		return nil, p.errorf(at, "the set [:%.20s:] is not supported", name)
	}
	p.i += len(name) + 4
	if negated {
		return make().complement(), nil
	}
	return make(), nil
}
