package jinja

func (p *parser) print() ([]stmt, error) {
	var out []stmt
	for p.cur().kind != tokBlockEnd {
		if len(out) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		at := p.cur().pos
		x, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		out = append(out, &printStmt{at, x})
	}
	return out, nil
}

func (p *parser) namedBlock(at pos) (stmt, error) {
	name, err := p.expectKind(tokName, "the block's name")
	if err != nil {
		return nil, err
	}
	for p.cur().kind == tokName { // scoped, required
		p.next()
	}
	loops := p.loops
	p.loops = 0
	b, err := p.blockTo("endblock")
	p.loops = loops
	p.skipName(name.text)
	return &blockStmt{at, b}, err
}

func (p *parser) ifBlock(at pos) (stmt, error) {
	s := &ifStmt{pos: at}
	p.ifs++
	defer func() { p.ifs-- }()
	for {
		test, err := p.tuple(false, nil)
		if err != nil {
			return nil, err
		}
		b, err := p.block("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		s.tests, s.bodies = append(s.tests, test), append(s.bodies, b)
		switch p.next().text {
		case "elif":
			continue
		case "else":
			s.other, err = p.blockTo("endif")
		}
		return s, err
	}
}

func (p *parser) forBlock(at pos) (stmt, error) {
	s := &forStmt{pos: at}
	var err error
	if s.to, err = p.targets("in"); err != nil {
		return nil, err
	}
	if !p.skipName("in") {
		return nil, p.fail("expected 'in', got %s", p.cur().describe())
	}
	if s.iter, err = p.tuple(false, []string{"recursive"}); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if s.test, err = p.expression(true); err != nil {
			return nil, err
		}
	}
	s.recursive = p.skipName("recursive")
	p.loops++
	s.body, err = p.block("endfor", "else")
	p.loops--
	if err != nil {
		return nil, err
	}
	if p.next().text == "else" {
		s.other, err = p.blockTo("endfor")
	}
	return s, err
}

// oneTarget reads a name, or with attr also name.attribute, or a tuple in parentheses.
func (p *parser) oneTarget(attr bool) (target, error) {
	if at := p.cur().pos; p.skipOp("(") {
		if err := p.enter(); err != nil {
			return target{}, err
		}
		t, err := p.targets("")
		p.leave()
		if err == nil {
			err = p.expectOp(")")
		}
		t.pos = at
		return t, err
	}
	name, err := p.expectKind(tokName, "a name to assign to")
	if err != nil {
		return target{}, err
	}
	switch name.text {
	case "true", "false", "none", "True", "False", "None":
		return target{}, p.failAt(name.pos, "cannot assign to '%s'", name.text)
	}
	t := target{pos: name.pos, id: p.id(name.text)}
	if attr && p.skipOp(".") {
		a, err := p.expectKind(tokName, "an attribute's name")
		if err != nil {
			return target{}, err
		}
		t.attr = plain(a.text)
	}
	return t, nil
}

// targets reads one target or several with commas between; end is the name behind them ("" = an operator).
func (p *parser) targets(end string) (target, error) {
	first, err := p.oneTarget(end == "")
	if err != nil || !p.isOp(",") {
		return first, err
	}
	t := target{pos: first.pos, tuple: []target{first}}
	for p.skipOp(",") {
		if c := p.cur(); c.kind == tokBlockEnd || c.kind == tokOp || end != "" && p.isName(end) {
			if !p.isOp("(") {
				break
			}
		}
		one, err := p.oneTarget(end == "")
		if err != nil {
			return target{}, err
		}
		t.tuple = append(t.tuple, one)
	}
	return t, nil
}

func (p *parser) set(at pos) (stmt, error) {
	to, err := p.targets("")
	if err != nil {
		return nil, err
	}
	if p.skipOp("=") {
		x, err := p.tuple(true, nil)
		return &setStmt{at, to, x}, err
	}
	s := &setBlockStmt{pos: at, to: to}
	if s.filter, err = p.filters(nil, false); err != nil {
		return nil, err
	}
	s.body, err = p.blockTo("endset")
	return s, err
}

func (p *parser) with(at pos) (stmt, error) {
	s := &withStmt{pos: at}
	for p.cur().kind != tokBlockEnd {
		if len(s.to) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		to, err := p.oneTarget(false)
		if err != nil {
			return nil, err
		}
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		x, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		s.to, s.vals = append(s.to, to), append(s.vals, x)
	}
	var err error
	s.body, err = p.blockTo("endwith")
	return s, err
}

func (p *parser) filterBlock(at pos) (stmt, error) {
	f, err := p.filters(nil, true)
	if err != nil {
		return nil, err
	}
	b, err := p.blockTo("endfilter")
	return &filterStmt{at, f, b}, err
}
