package jinja

import (
	"slices"
	"strconv"
	"strings"
)

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

func (p *parser) primary() (expr, error) {
	t := p.cur()
	switch t.kind {
	case tokName:
		p.next()
		switch t.text {
		case "true", "True":
			return &constExpr{t.pos, true}, nil
		case "false", "False":
			return &constExpr{t.pos, false}, nil
		case "none", "None":
			return &constExpr{t.pos, nil}, nil
		}
		return &nameExpr{t.pos, p.id(t.text)}, nil
	case tokString:
		var b strings.Builder
		for p.cur().kind == tokString {
			b.WriteString(p.next().text)
		}
		return &constExpr{t.pos, plain(b.String())}, nil
	case tokInt:
		v, err := strconv.ParseInt(p.next().text, 0, 64)
		if err != nil {
			return nil, p.failAt(t.pos, "the integer %s does not fit 64 bits", t.text)
		}
		return &constExpr{t.pos, v}, nil
	case tokFloat:
		v, err := strconv.ParseFloat(p.next().text, 64)
		if err != nil && v == 0 {
			return nil, p.failAt(t.pos, "%s is no number", t.text)
		}
		return &constExpr{t.pos, v}, nil
	case tokOp:
		switch t.text {
		case "(":
			p.next()
			if p.skipOp(")") {
				return &tupleExpr{t.pos, nil}, nil
			}
			x, err := p.tuple(true, nil)
			if err != nil {
				return nil, err
			}
			return x, p.expectOp(")")
		case "[":
			p.next()
			items, err := p.items("]")
			return &listExpr{t.pos, items}, err
		case "{":
			return p.dict()
		}
	}
	return nil, p.fail("expected an expression, got %s", t.describe())
}

// items reads expressions with commas between, up to and with the closing bracket.
func (p *parser) items(end string) ([]expr, error) {
	var out []expr
	for !p.isOp(end) {
		if len(out) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.isOp(end) {
				break
			}
		}
		x, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, p.expectOp(end)
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{pos: p.next().pos}
	for !p.isOp("}") {
		if len(d.keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.isOp("}") {
				break
			}
		}
		k, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		if err := p.expectOp(":"); err != nil {
			return nil, err
		}
		v, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		d.keys, d.vals = append(d.keys, k), append(d.vals, v)
	}
	return d, p.expectOp("}")
}

// postfix reads attributes, items and calls behind an expression.
func (p *parser) postfix(x expr) (expr, error) {
	for n := 0; ; n++ {
		t := p.cur()
		if t.kind != tokOp {
			return x, nil
		}
		if n == maxChain {
			return nil, p.fail("more than %d attributes in one expression", maxChain)
		}
		var err error
		switch t.text {
		case ".":
			p.next()
			switch a := p.next(); a.kind {
			case tokName:
				x = &attrExpr{a.pos, x, plain(a.text)}
			case tokInt:
				v, _ := strconv.ParseInt(a.text, 0, 64)
				x = &itemExpr{a.pos, x, &constExpr{a.pos, v}}
			default:
				return nil, p.failAt(a.pos, "expected a name or number behind '.', got %s", a.describe())
			}
		case "[":
			x, err = p.subscript(x)
		case "(":
			x, err = p.call(x)
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) subscript(x expr) (expr, error) {
	at := p.next().pos
	var keys []expr
	comma := false
	for !p.isOp("]") {
		if len(keys) > 0 {
			comma = true
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		k, err := p.subscripted()
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	p.next()
	switch {
	case len(keys) == 0:
		return nil, p.failAt(at, "expected an expression between '[' and ']'")
	case comma:
		return &itemExpr{at, x, &tupleExpr{at, keys}}, nil
	}
	return &itemExpr{at, x, keys[0]}, nil
}

// subscripted reads an index or a slice.
func (p *parser) subscripted() (expr, error) {
	s := &sliceExpr{pos: p.cur().pos}
	if !p.isOp(":") {
		x, err := p.expression(true)
		if err != nil || !p.isOp(":") {
			return x, err
		}
		s.start = x
	}
	p.next()
	part := func() (expr, error) {
		if p.isOp(":") || p.isOp("]") || p.isOp(",") {
			return nil, nil
		}
		return p.expression(true)
	}
	var err error
	if s.stop, err = part(); err != nil {
		return nil, err
	}
	if p.skipOp(":") {
		if s.step, err = part(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *parser) call(fn expr) (expr, error) {
	at := p.cur().pos
	args, err := p.arguments()
	return &callExpr{at, fn, args}, err
}

func (p *parser) arguments() (callArgs, error) {
	var a callArgs
	p.next() // "("
	for n := 0; !p.isOp(")"); n++ {
		if n > 0 {
			if err := p.expectOp(","); err != nil {
				return a, err
			}
			if p.isOp(")") {
				break
			}
		}
		var err error
		switch {
		case p.isOp("*") && a.star == nil && a.starstar == nil:
			p.next()
			a.star, err = p.expression(true)
		case p.isOp("**") && a.starstar == nil:
			p.next()
			a.starstar, err = p.expression(true)
		case p.cur().kind == tokName && p.toks[p.i+1].kind == tokOp && p.toks[p.i+1].text == "=":
			if a.starstar != nil {
				return a, p.fail("a named argument behind **")
			}
			a.names = append(a.names, plain(p.next().text))
			p.next()
			var x expr
			x, err = p.expression(true)
			a.named = append(a.named, x)
		default:
			if len(a.named) > 0 || a.star != nil || a.starstar != nil {
				return a, p.fail("a positional argument behind a named one")
			}
			var x expr
			x, err = p.expression(true)
			a.args = append(a.args, x)
		}
		if err != nil {
			return a, err
		}
	}
	return a, p.expectOp(")")
}

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

func (p *parser) dotted(what string) (token, error) {
	name, err := p.expectKind(tokName, what)
	for err == nil && p.skipOp(".") {
		var t token
		t, err = p.expectKind(tokName, what)
		name.text += "." + t.text
	}
	return name, err
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
