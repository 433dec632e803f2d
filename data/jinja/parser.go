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
