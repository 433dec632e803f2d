package oniguruma

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is a part of a pattern.
type node interface{}

type (
	nodeSet  set    // one character of a set
	nodeCat  []node // one behind the other; empty = the empty string
	nodeAlt  []node // the first that leads to a match
	nodePeek struct {
		set    set // may hold edge
		behind bool
	}
	nodeLook struct {
		sub              node
		behind, negative bool
	}
	nodeAtomic struct{ sub node }
	nodeRepeat struct {
		sub      node
		min, max int // max unbounded = no end
		lazy     bool
	}
)

const unbounded = math.MaxInt32

// parser reads a pattern by the rules of Oniguruma's Ruby syntax, which the tokenizers library uses.
type parser struct {
	src   string
	i     int
	depth int
	fold  bool // (?i)
	dot   bool // (?m): . matches a line break
}

func (p *parser) errorf(at int, format string, args ...any) error {
	return fmt.Errorf("%s at byte %d", fmt.Sprintf(format, args...), at)
}

func (p *parser) parse() (node, error) {
	n, err := p.alternation()
	if err == nil && p.i < len(p.src) {
		return nil, p.errorf(p.i, "a ) without its (")
	}
	return n, err
}

func (p *parser) rest() string { return p.src[p.i:] }

// take goes past a string, if it stands here.
func (p *parser) take(s string) bool {
	ok := strings.HasPrefix(p.rest(), s)
	if ok {
		p.i += len(s)
	}
	return ok
}

// char takes one character.
func (p *parser) char() rune {
	r, n := utf8.DecodeRuneInString(p.rest())
	p.i += n
	return r
}

// alternation reads up to the ) of its group or the end.
func (p *parser) alternation() (node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.errorf(p.i, "groups nested more than %d deep", maxNesting)
	}
	defer func() { p.depth-- }()
	var branches nodeAlt
	for {
		n, err := p.sequence()
		if err != nil {
			return nil, err
		}
		branches = append(branches, n)
		if !p.take("|") {
			return either(branches), nil
		}
	}
}

// either is an alternation; of single characters it is a set.
func either(branches nodeAlt) node {
	if len(branches) == 1 {
		return branches[0]
	}
	var sets []set
	for _, b := range branches {
		s, ok := b.(nodeSet)
		if !ok {
			return branches
		}
		sets = append(sets, set(s))
	}
	return nodeSet(union(sets...))
}

func (p *parser) sequence() (node, error) {
	var all nodeCat
	letter := rune(0) // the character before, if it is one without regard to case
	for p.i < len(p.src) && p.src[p.i] != '|' && p.src[p.i] != ')' {
		at := p.i
		if on, off, ok := p.options(')'); ok {
			// Options count to the end of the group, | included.
			saved := *p
			p.set(on, off)
			n, err := p.alternation()
			p.fold, p.dot = saved.fold, saved.dot
			return sequenceOf(append(all, n)), err
		}
		n, r, err := p.atom()
		if err != nil {
			return nil, err
		}
		n, repeated, err := p.repeats(n)
		if err != nil {
			return nil, err
		}
		if !p.fold || repeated {
			r = 0
		}
		if longFold(letter, r) {
			return nil, p.errorf(at, "the letters %c%c without regard to case (a character stands for both) are not supported", letter, r)
		}
		letter = r
		all = append(all, n)
	}
	return sequenceOf(all), nil
}

func sequenceOf(all nodeCat) node {
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// repeats reads the quantifiers behind an atom.
func (p *parser) repeats(n node) (_ node, repeated bool, err error) {
	for ; p.i < len(p.src); repeated = true {
		at := p.i
		lo, hi, braces, ok := p.quantifier()
		if !ok {
			break
		}
		if hi != unbounded && hi > maxProgram || lo > maxProgram {
			return nil, false, p.errorf(at, "more than %d repeats", maxProgram)
		}
		if lo > hi {
			return nil, false, p.errorf(at, "a repeat of at least %d and at most %d", lo, hi)
		}
		r := nodeRepeat{sub: n, min: lo, max: hi}
		switch {
		case !(braces && lo == hi) && p.take("?"): // behind {n} a ? is a quantifier of its own, as + is behind all braces
			r.lazy = true
			n = r
		case !braces && p.take("+"):
			n = atomic(r)
		default:
			n = r
		}
	}
	return n, repeated, nil
}

// quantifier reads *, +, ?, {n}, {n,}, {n,m} or {,m}. A { that does not begin one of these is a character.
func (p *parser) quantifier() (lo, hi int, braces, ok bool) {
	switch p.src[p.i] {
	case '*':
		p.i++
		return 0, unbounded, false, true
	case '+':
		p.i++
		return 1, unbounded, false, true
	case '?':
		p.i++
		return 0, 1, false, true
	case '{':
		inner, _, closed := strings.Cut(p.src[p.i+1:], "}")
		from, to, comma := strings.Cut(inner, ",")
		if !closed || from == "" && to == "" || !number(from) || !number(to) {
			return 0, 0, false, false
		}
		lo, _ = strconv.Atoi(from) // too large a number is refused by the caller
		hi, _ = strconv.Atoi(to)
		switch {
		case !comma:
			hi = lo
		case to == "":
			hi = unbounded
		}
		p.i += len(inner) + 2
		return lo, hi, true, true
	}
	return 0, 0, false, false
}

func number(s string) bool { return strings.Trim(s, "0123456789") == "" }

// atomic matches as sub does at first and does not go back into it.
func atomic(sub node) node {
	switch n := sub.(type) {
	case nodeSet, nodePeek:
		return n
	case nodeRepeat:
		s, ok := n.sub.(nodeSet)
		leaves := nodePeek{set: set(s).not(edge)}
		switch {
		case ok && !n.lazy && n.max == unbounded: // it ends where the set ends
			return nodeCat{n, leaves}
		case ok && !n.lazy && n.min == 0 && n.max == 1:
			return nodeAlt{s, leaves}
		}
	}
	return nodeAtomic{sub}
}
