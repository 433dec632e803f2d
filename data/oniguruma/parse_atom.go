package oniguruma

import "strings"

// atom reads what a quantifier may follow. A plain character is also given as such.
func (p *parser) atom() (node, rune, error) {
	at := p.i
	switch r := p.char(); r {
	case '.':
		if p.dot {
			return nodeSet(all), 0, nil
		}
		return nodeSet(newline.complement()), 0, nil
	case '^': // not behind the line break that ends the text
		return nodeAlt{
			nodePeek{one(edge), true},
			nodeCat{nodePeek{newline, true}, nodePeek{all, false}},
		}, 0, nil
	case '$':
		return nodePeek{union(newline, one(edge)), false}, 0, nil
	case '*', '+', '?':
		return nil, 0, p.errorf(at, "a %c with nothing to repeat", r)
	case '(':
		n, err := p.group(at)
		return n, 0, err
	case '[':
		s, err := p.bracket(at)
		return nodeSet(s), 0, err
	case '\\':
		if n := p.assertion(); n != nil {
			return n, 0, nil
		}
		r, s, err := p.escape(at, looseWords)
		if err != nil || s != nil {
			return nodeSet(s), 0, err
		}
		return p.literal(at, r)
	default:
		return p.literal(at, r)
	}
}

func (p *parser) literal(at int, r rune) (node, rune, error) {
	if !p.fold {
		return nodeSet(one(r)), r, nil
	}
	s, err := foldRune(r)
	if err != nil {
		return nil, 0, p.errorf(at, "%v", err)
	}
	return nodeSet(s), r, nil
}

// assertion reads the letter of \A, \z, \Z, \b or \B, if it is one.
func (p *parser) assertion() node {
	if p.i == len(p.src) {
		return nil
	}
	end := nodePeek{one(edge), false}
	word := func(behind, in bool) node {
		if in {
			return nodePeek{looseWords(), behind}
		}
		return nodePeek{looseWords().not(edge), behind}
	}
	var n node
	switch p.src[p.i] {
	case 'A':
		n = nodePeek{one(edge), true}
	case 'z':
		n = end
	case 'Z':
		n = nodeAlt{end, nodeLook{sub: nodeCat{nodeSet(newline), end}}}
	case 'b':
		n = nodeAlt{nodeCat{word(true, true), word(false, false)}, nodeCat{word(true, false), word(false, true)}}
	case 'B':
		n = nodeAlt{nodeCat{word(true, true), word(false, true)}, nodeCat{word(true, false), word(false, false)}}
	default:
		return nil
	}
	p.i++
	return n
}

// options reads (?i), (?m-i) and the like, up to the character end, if they stand here.
func (p *parser) options(end byte) (on, off string, ok bool) {
	if !strings.HasPrefix(p.rest(), "(?") {
		return "", "", false
	}
	letters, _, found := strings.Cut(p.src[p.i+2:], string(end))
	if !found || strings.Trim(letters, "im-") != "" || strings.Count(letters, "-") > 1 {
		return "", "", false
	}
	p.i += len("(?") + len(letters) + 1
	on, off, _ = strings.Cut(letters, "-")
	return on, off, true
}

func (p *parser) set(on, off string) {
	p.fold = (p.fold || strings.Contains(on, "i")) && !strings.Contains(off, "i")
	p.dot = (p.dot || strings.Contains(on, "m")) && !strings.Contains(off, "m")
}

// group reads what follows the ( at byte at.
func (p *parser) group(at int) (node, error) {
	saved := *p
	wrap := func(n node) (node, error) { return n, nil }
	p.i = at
	on, off, ok := p.options(':')
	if !ok {
		p.i = at + 1
	}
	switch {
	case ok:
		p.set(on, off)
	case p.take("?#"):
		_, after, closed := strings.Cut(p.rest(), ")")
		if !closed {
			return nil, p.errorf(at, "a comment without its )")
		}
		p.i = len(p.src) - len(after)
		return nodeCat{}, nil
	case p.take("?="):
		wrap = func(n node) (node, error) { return look(n, false), nil }
	case p.take("?!"):
		wrap = func(n node) (node, error) { return look(n, true), nil }
	case p.take("?<="):
		wrap = func(n node) (node, error) { return p.behind(at, n, false) }
	case p.take("?<!"):
		wrap = func(n node) (node, error) { return p.behind(at, n, true) }
	case p.take("?>"):
		wrap = func(n node) (node, error) { return atomic(n), nil }
	case p.take("?<"), p.take("?'"):
		return nil, p.errorf(at, "a group with a name is not supported")
	case strings.HasPrefix(p.rest(), "?"):
		_, after, _ := strings.Cut(p.rest(), "?")
		return nil, p.errorf(at, "a group that begins (?%.1s is not supported", after)
	}
	n, err := p.alternation()
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, p.errorf(at, "a ( without its )")
	}
	p.fold, p.dot = saved.fold, saved.dot
	return wrap(n)
}

// look is a look-ahead; at a single character it is a peek.
func look(n node, negative bool) node {
	s, ok := n.(nodeSet)
	switch {
	case ok && negative:
		return nodePeek{set(s).not(edge), false}
	case ok:
		return nodePeek{set(s), false}
	}
	return nodeLook{sub: n, negative: negative}
}

func (p *parser) behind(at int, n node, negative bool) (node, error) {
	if s, ok := n.(nodeSet); ok {
		if negative {
			return nodePeek{set(s).not(edge), true}, nil
		}
		return nodePeek{set(s), true}, nil
	}
	length, err := behindLength(n)
	if err == nil && length > maxBehind {
		err = errLong
	}
	if err != nil {
		return nil, p.errorf(at, "a look-behind %v", err)
	}
	return nodeLook{sub: n, behind: true, negative: negative}, nil
}
