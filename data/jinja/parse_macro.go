package jinja

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
