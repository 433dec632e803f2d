package jinja

import (
	"fmt"
	"strings"
)

// parser turns tokens into statements as jinja2.parser does.
type parser struct {
	toks  []token
	i     int
	names map[string]int
	list  []string
	depth int
	lang  *lang
	loops int // for blocks around the current statement, for break and continue
	ifs   int // conditions around it: an unknown filter there complains only when it is reached
	// used collects the names that the macro being parsed uses.
	used map[string]bool
	// gen: the template has a generation block; closures: it has macros or call blocks.
	gen, closures bool
}

// maxNesting bounds the depth of nested blocks and expressions.
const maxNesting = 200

func (p *parser) cur() *token { return &p.toks[p.i] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if p.i < len(p.toks)-1 {
		p.i++
	}
	return t
}

func (p *parser) failAt(at pos, format string, args ...any) error {
	return &Error{Kind: Syntax, Line: int(at.line), Col: int(at.col), Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) fail(format string, args ...any) error {
	return p.failAt(p.cur().pos, format, args...)
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxNesting {
		return p.fail("the template nests deeper than %d levels", maxNesting)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) isOp(op string) bool     { t := p.cur(); return t.kind == tokOp && t.text == op }
func (p *parser) isName(name string) bool { t := p.cur(); return t.kind == tokName && t.text == name }

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expectOp(op string) error {
	if !p.skipOp(op) {
		return p.fail("expected '%s', got %s", op, p.cur().describe())
	}
	return nil
}

func (p *parser) expectKind(k tokenKind, what string) (token, error) {
	if p.cur().kind != k {
		return token{}, p.fail("expected %s, got %s", what, p.cur().describe())
	}
	return p.next(), nil
}

func (p *parser) id(name string) int {
	if p.used != nil {
		p.used[name] = true
	}
	if n, ok := p.names[name]; ok {
		return n
	}
	n := len(p.list)
	p.names[name] = n
	p.list = append(p.list, name)
	return n
}

// body reads statements up to a tag that begins with one of the names in until, which stays the current token.
// With none it reads to the end of the template.
func (p *parser) body(until ...string) ([]stmt, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var out []stmt
	for {
		t := p.cur()
		switch t.kind {
		case tokEOF:
			if len(until) > 0 {
				return nil, p.fail("unexpected end of template: a block is not closed, expected %s", strings.Join(until, " or "))
			}
			return out, nil
		case tokData:
			out = append(out, &textStmt{t.pos, plain(t.text)})
			p.next()
		case tokVarBegin:
			p.next()
			x, err := p.tuple(true, nil)
			if err != nil {
				return nil, err
			}
			if _, err := p.expectKind(tokVarEnd, "end of print statement"); err != nil {
				return nil, err
			}
			out = append(out, &printStmt{t.pos, x})
		default:
			p.next()
			for _, u := range until {
				if p.isName(u) {
					return out, nil
				}
			}
			s, err := p.statement()
			if err != nil {
				return nil, err
			}
			out = append(out, s...)
			if _, err := p.expectKind(tokBlockEnd, "end of statement block"); err != nil {
				return nil, err
			}
		}
	}
}

// block reads the end of an opening tag, the body, and the name of the closing tag.
func (p *parser) block(until ...string) ([]stmt, error) {
	p.skipOp(":")
	if _, err := p.expectKind(tokBlockEnd, "end of statement block"); err != nil {
		return nil, err
	}
	return p.body(until...)
}

// blockTo is block for a body with one possible end, which it skips.
func (p *parser) blockTo(end string) ([]stmt, error) {
	b, err := p.block(end)
	if err == nil {
		p.next()
	}
	return b, err
}

func (p *parser) statement() ([]stmt, error) {
	t, err := p.expectKind(tokName, "a tag name")
	if err != nil {
		return nil, err
	}
	var s stmt
	switch t.text {
	case "for":
		s, err = p.forBlock(t.pos)
	case "if":
		s, err = p.ifBlock(t.pos)
	case "set":
		s, err = p.set(t.pos)
	case "macro":
		s, err = p.macro(t.pos)
	case "call":
		s, err = p.callBlock(t.pos)
	case "filter":
		s, err = p.filterBlock(t.pos)
	case "with":
		s, err = p.with(t.pos)
	case "print":
		return p.print()
	case "generation":
		p.gen = true
		var b []stmt
		b, err = p.blockTo("endgeneration")
		s = &generationStmt{t.pos, b}
	case "block":
		s, err = p.namedBlock(t.pos)
	case "break", "continue":
		if p.loops == 0 {
			return nil, p.failAt(t.pos, "'%s' outside a loop", t.text)
		}
		if t.text == "break" {
			s = &breakStmt{t.pos}
		} else {
			s = &continueStmt{t.pos}
		}
	case "include", "import", "from", "extends":
		return nil, p.failAt(t.pos, "'%s' needs another file, and a chat template may read none", t.text)
	case "autoescape":
		return nil, p.failAt(t.pos, "'autoescape' is not supported: chat templates write plain text")
	default:
		return nil, p.failAt(t.pos, "unknown tag '%s'", t.text)
	}
	if err != nil {
		return nil, err
	}
	return []stmt{s}, nil
}

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

// macroBody reads the body of a macro or call block and notes which of caller, kwargs and varargs it uses.
func (p *parser) macroBody(m *macroDef, end string) error {
	p.closures = true
	outer, loops := p.used, p.loops
	p.used, p.loops = map[string]bool{}, 0
	var err error
	m.body, err = p.blockTo(end)
	number := func(name string) int {
		if !p.used[name] {
			return -1
		}
		return p.names[name]
	}
	m.caller, m.kwargs, m.varargs = number("caller"), number("kwargs"), number("varargs")
	for name := range p.used {
		if outer != nil {
			outer[name] = true
		}
	}
	p.used, p.loops = outer, loops
	return err
}

func (p *parser) signature(m *macroDef) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for !p.isOp(")") {
		if len(m.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return err
			}
		}
		name, err := p.expectKind(tokName, "a parameter's name")
		if err != nil {
			return err
		}
		m.params, m.names = append(m.params, p.id(name.text)), append(m.names, name.text)
		if p.skipOp("=") {
			d, err := p.expression(true)
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, d)
		} else if len(m.defaults) > 0 {
			return p.fail("a parameter without a default follows one with a default")
		}
	}
	return p.expectOp(")")
}

func (p *parser) macro(at pos) (stmt, error) {
	name, err := p.expectKind(tokName, "the macro's name")
	if err != nil {
		return nil, err
	}
	m := &macroDef{pos: at, name: name.text, id: p.id(name.text)}
	if err := p.signature(m); err != nil {
		return nil, err
	}
	return m, p.macroBody(m, "endmacro")
}

func (p *parser) callBlock(at pos) (stmt, error) {
	m := &macroDef{pos: at, name: "caller", id: -1}
	if p.isOp("(") {
		if err := p.signature(m); err != nil {
			return nil, err
		}
	}
	x, err := p.expression(true)
	if err != nil {
		return nil, err
	}
	call, ok := x.(*callExpr)
	if !ok {
		return nil, p.failAt(at, "expected a call behind 'call'")
	}
	return &callStmt{at, call, m}, p.macroBody(m, "endcall")
}
