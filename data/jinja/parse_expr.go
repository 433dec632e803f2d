package jinja

import "slices"

// expression reads one expression; cond says whether it may be "a if b else c".
func (p *parser) expression(cond bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if !cond {
		return p.or()
	}
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	for p.isName("if") {
		at := p.next().pos
		p.ifs++
		test, err := p.or()
		if err != nil {
			return nil, err
		}
		c := &condExpr{pos: at, then: x, test: test}
		if p.skipName("else") {
			if c.other, err = p.expression(true); err != nil {
				return nil, err
			}
		}
		p.ifs--
		x = c
	}
	return x, nil
}

// tupleEnd: a tuple with a trailing comma ends here.
func (p *parser) tupleEnd(extra []string) bool {
	t := p.cur()
	switch t.kind {
	case tokVarEnd, tokBlockEnd:
		return true
	case tokOp:
		return t.text == ")"
	case tokName:
		return slices.Contains(extra, t.text)
	}
	return false
}

// tuple reads one expression, or a tuple without parentheses.
func (p *parser) tuple(cond bool, end []string) (expr, error) {
	at := p.cur().pos
	var items []expr
	for {
		if p.tupleEnd(end) {
			break
		}
		x, err := p.expression(cond)
		if err != nil {
			return nil, err
		}
		if items = append(items, x); !p.isOp(",") {
			if len(items) == 1 {
				return x, nil
			}
			break
		}
		p.next()
	}
	if len(items) == 0 {
		return nil, p.fail("expected an expression, got %s", p.cur().describe())
	}
	return &tupleExpr{at, items}, nil
}

func (p *parser) or() (expr, error) {
	return p.leftAssoc(p.and, func() string {
		if p.isName("or") {
			return "or"
		}
		return ""
	})
}

func (p *parser) and() (expr, error) {
	return p.leftAssoc(p.not, func() string {
		if p.isName("and") {
			return "and"
		}
		return ""
	})
}

// leftAssoc reads operands with operators between; more than maxChain in one expression are refused, since the tree is
// evaluated recursively.
func (p *parser) leftAssoc(operand func() (expr, error), op func() string) (expr, error) {
	x, err := operand()
	for n := 0; err == nil; n++ {
		o := op()
		if o == "" {
			return x, nil
		}
		if n == maxChain {
			return nil, p.fail("more than %d operators in one expression", maxChain)
		}
		at := p.next().pos
		var y expr
		if y, err = operand(); err == nil {
			x = &binExpr{at, o, x, y}
		}
	}
	return nil, err
}

const maxChain = 500

func (p *parser) opIn(ops ...string) func() string {
	return func() string {
		if t := p.cur(); t.kind == tokOp && slices.Contains(ops, t.text) {
			return t.text
		}
		return ""
	}
}

func (p *parser) not() (expr, error) {
	if t := p.cur(); p.skipName("not") {
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer p.leave()
		x, err := p.not()
		return &unaryExpr{t.pos, "not", x}, err
	}
	return p.compare()
}

func (p *parser) compare() (expr, error) {
	first, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &compareExpr{pos: p.cur().pos, first: first}
	isCompare := p.opIn("==", "!=", "<", "<=", ">", ">=")
	for {
		op := isCompare()
		switch {
		case op != "":
			p.next()
		case p.isName("in"):
			p.next()
			op = "in"
		case p.isName("not") && p.toks[p.i+1].kind == tokName && p.toks[p.i+1].text == "in":
			p.next()
			p.next()
			op = "not in"
		default:
			if len(c.ops) == 0 {
				return first, nil
			}
			return c, nil
		}
		x, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, x)
	}
}

func (p *parser) sum() (expr, error) { return p.leftAssoc(p.concat, p.opIn("+", "-")) }

func (p *parser) concat() (expr, error) {
	at := p.cur().pos
	x, err := p.product()
	if err != nil || !p.isOp("~") {
		return x, err
	}
	items := []expr{x}
	for p.skipOp("~") {
		y, err := p.product()
		if err != nil {
			return nil, err
		}
		items = append(items, y)
	}
	return &concatExpr{at, items}, nil
}

func (p *parser) product() (expr, error) { return p.leftAssoc(p.power, p.opIn("*", "/", "//", "%")) }

func (p *parser) power() (expr, error) {
	return p.leftAssoc(func() (expr, error) { return p.unary(true) }, p.opIn("**"))
}

func (p *parser) unary(filters bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	t := p.cur()
	var x expr
	var err error
	if p.isOp("-") || p.isOp("+") {
		p.next()
		x, err = p.unary(false)
		x = &unaryExpr{t.pos, t.text, x}
	} else {
		x, err = p.primary()
	}
	if err == nil {
		x, err = p.postfix(x)
	}
	if err == nil && filters {
		x, err = p.filterOrTest(x)
	}
	return x, err
}
