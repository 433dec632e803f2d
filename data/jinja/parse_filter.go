package jinja

func (p *parser) filterOrTest(x expr) (expr, error) {
	for n := 0; ; n++ {
		if n == maxChain {
			return nil, p.fail("more than %d filters in one expression", maxChain)
		}
		var err error
		switch {
		case p.isOp("|"):
			x, err = p.filters(x, false)
		case p.isName("is"):
			x, err = p.test(x)
		case p.isOp("("):
			x, err = p.call(x)
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// filters reads "|name(args)" as often as it comes; with inline the first comes without "|".
func (p *parser) filters(x expr, inline bool) (expr, error) {
	for n := 0; inline || p.isOp("|"); n++ {
		if n == maxChain {
			return nil, p.fail("more than %d filters in one expression", maxChain)
		}
		if !inline {
			p.next()
		}
		inline = false
		name, err := p.dotted("a filter's name")
		if err != nil {
			return nil, err
		}
		if _, ok := p.lang.filters[name.text]; !ok && p.ifs == 0 {
			return nil, p.failAt(name.pos, "no filter named '%s'", name.text)
		}
		f := &filterExpr{pos: name.pos, x: x, name: name.text}
		if p.isOp("(") {
			if f.args, err = p.arguments(); err != nil {
				return nil, err
			}
		}
		x = f
	}
	return x, nil
}

func (p *parser) test(x expr) (expr, error) {
	p.next() // is
	negated := p.cur().pos
	not := p.skipName("not")
	name, err := p.dotted("a test's name")
	if err != nil {
		return nil, err
	}
	if _, ok := p.lang.tests[name.text]; !ok && p.ifs == 0 {
		return nil, p.failAt(name.pos, "no test named '%s'", name.text)
	}
	t := &testExpr{pos: name.pos, x: x, name: name.text}
	switch c := p.cur(); {
	case p.isOp("("):
		if t.args, err = p.arguments(); err != nil {
			return nil, err
		}
	case c.kind == tokName && c.text != "else" && c.text != "or" && c.text != "and",
		c.kind == tokString, c.kind == tokInt, c.kind == tokFloat, p.isOp("["), p.isOp("{"):
		if p.isName("is") {
			return nil, p.fail("tests with 'is' cannot be chained")
		}
		arg, err := p.primary()
		if err != nil {
			return nil, err
		}
		if arg, err = p.postfix(arg); err != nil {
			return nil, err
		}
		t.args.args = []expr{arg}
	}
	if not {
		return &unaryExpr{negated, "not", t}, nil
	}
	return t, nil
}

func (p *parser) dotted(what string) (token, error) {
	name, err := p.expectKind(tokName, what)
	for err == nil && p.skipOp(".") {
		var t token
		t, err = p.expectKind(tokName, what)
		name.text += "." + t.text
	}
	return name, err
}
