package jinja

import (
	"strconv"
	"strings"
)

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
