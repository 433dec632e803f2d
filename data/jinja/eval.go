package jinja

import "time"

// run is one rendering.
type run struct {
	budget
	t          *Template
	now        time.Time
	names      *scope   // the outermost
	out, root  *builder // where text goes now; the rendering itself
	generation []Range
	body       *Str // what a filter without an operand filters: the text of its block
}

// unset is what a name without a value holds.
var unset = &undefined{}

// scope holds the names of a loop round, a macro or a block; the outermost has top, by name number.
type scope struct {
	parent *scope
	top    []Value
	vars   []binding
}

type binding struct {
	id int
	v  Value
}

// get is the value of a name and how many others were looked at to find it.
func (s *scope) get(id int) (v Value, others int) {
	for ; s.parent != nil; s = s.parent {
		for i := len(s.vars) - 1; i >= 0; i-- {
			if s.vars[i].id == id {
				return s.vars[i].v, others + len(s.vars) - 1 - i
			}
		}
		others += len(s.vars) + 1
	}
	return s.top[id], others
}

func (s *scope) set(id int, v Value) {
	if s.parent == nil {
		s.top[id] = v
		return
	}
	for i := range s.vars {
		if s.vars[i].id == id {
			s.vars[i].v = v
			return
		}
	}
	s.vars = append(s.vars, binding{id, v})
}

// flow says how a list of statements ended.
type flow uint8

const (
	goOn flow = iota
	breakLoop
	continueLoop
)

func (r *run) stmts(list []stmt, s *scope) (flow, error) {
	for _, st := range list {
		if err := r.step(); err != nil {
			return goOn, located(err, st.at())
		}
		f, err := r.stmt(st, s)
		if err != nil {
			return goOn, located(err, st.at())
		}
		if f != goOn {
			return f, nil
		}
	}
	return goOn, nil
}

func (r *run) stmt(st stmt, s *scope) (flow, error) {
	switch st := st.(type) {
	case *textStmt:
		return goOn, r.write(st.text)
	case *printStmt:
		v, err := r.eval(st.x, s)
		if err != nil {
			return goOn, err
		}
		text, err := r.str(v)
		if err != nil {
			return goOn, located(err, st.x.at())
		}
		return goOn, r.write(text)
	case *ifStmt:
		for i, test := range st.tests {
			v, err := r.eval(test, s)
			if err != nil {
				return goOn, err
			}
			if truth(v) {
				return r.stmts(st.bodies[i], s)
			}
		}
		return r.stmts(st.other, s)
	case *forStmt:
		return r.loop(st, s)
	case *setStmt:
		v, err := r.eval(st.x, s)
		if err != nil {
			return goOn, err
		}
		return goOn, r.assign(st.to, v, s)
	case *setBlockStmt:
		text, err := r.capture(st.body, &scope{parent: s})
		if err != nil {
			return goOn, err
		}
		v := Value(text)
		if st.filter != nil {
			if v, err = r.filterBody(st.filter, text, s); err != nil {
				return goOn, err
			}
		}
		return goOn, r.assign(st.to, v, s)
	case *withStmt:
		inner := &scope{parent: s}
		for i, x := range st.vals {
			v, err := r.eval(x, s)
			if err != nil {
				return goOn, err
			}
			if err := r.assign(st.to[i], v, inner); err != nil {
				return goOn, err
			}
		}
		return r.stmts(st.body, inner)
	case *macroDef:
		return goOn, r.assign(target{id: st.id}, &macro{def: st, scope: s}, s)
	case *callStmt:
		v, err := r.callWith(st.call, s, &macro{def: st.block, scope: s})
		if err != nil {
			return goOn, err
		}
		text, err := r.str(v)
		if err != nil {
			return goOn, err
		}
		return goOn, r.write(text)
	case *filterStmt:
		text, err := r.capture(st.body, &scope{parent: s})
		if err != nil {
			return goOn, err
		}
		v, err := r.filterBody(st.filter, text, s)
		if err != nil {
			return goOn, err
		}
		if text, err = r.str(v); err != nil {
			return goOn, err
		}
		return goOn, r.write(text)
	case *generationStmt:
		start := len(r.out.buf)
		f, err := r.stmts(st.body, &scope{parent: s})
		if r.out == r.root && len(r.out.buf) > start {
			r.generation = append(r.generation, Range{start, len(r.out.buf)})
		}
		return f, err
	case *blockStmt:
		return r.stmts(st.body, &scope{parent: s})
	case *breakStmt:
		return breakLoop, nil
	case *continueStmt:
		return continueLoop, nil
	}
	return goOn, fault("unknown statement %T", st)
}

func (r *run) write(text *Str) error {
	if err := r.spend(text.size()); err != nil {
		return err
	}
	r.out.str(text)
	return nil
}

// capture runs statements and gives what they write.
func (r *run) capture(body []stmt, s *scope) (*Str, error) {
	outer := r.out
	r.out = &builder{}
	_, err := r.stmts(body, s)
	text := r.out.done()
	r.out = outer
	return text, err
}

// assign stores a value. A tuple target takes exactly as many items as it has parts.
func (r *run) assign(t target, v Value, s *scope) error {
	switch {
	case t.tuple != nil:
		items, err := r.iterate(v)
		if e, ok := err.(*Error); ok && e.Kind == Runtime {
			err = fault("cannot unpack non-iterable %s object", typeName(v))
		}
		if err != nil {
			return located(err, t.pos)
		}
		if len(items) != len(t.tuple) {
			return located(fault("expected %d values to unpack, got %d", len(t.tuple), len(items)), t.pos)
		}
		for i, part := range t.tuple {
			if err := r.assign(part, items[i], s); err != nil {
				return err
			}
		}
	case t.attr != nil:
		holder, err := r.lookup(t.id, s)
		if err == nil {
			err = r.read(t.attr)
		}
		if err != nil {
			return located(err, t.pos)
		}
		ns, ok := holder.(*namespace)
		if !ok {
			return located(fault("cannot assign attribute on non-namespace object"), t.pos)
		}
		return located(ns.set(t.attr, v), t.pos)
	default:
		if err := r.spend(16); err != nil {
			return err
		}
		if err := r.spendSteps(len(s.vars) / stepItems); err != nil {
			return err
		}
		s.set(t.id, v)
	}
	return nil
}

// lookup is the value that a name has in a scope.
func (r *run) lookup(id int, s *scope) (Value, error) {
	v, others := s.get(id)
	return v, r.spendSteps(others / stepItems)
}

func (n *namespace) set(name *Str, v Value) error {
	if len(name.s) > 0 && name.s[0] == '_' {
		return fault("chat templates cannot store underscore-prefixed attributes on a namespace, but got '%s'", name.s)
	}
	n.attrs.put(name, v)
	return nil
}

// filterBody applies the filters of a block to its text.
func (r *run) filterBody(f expr, text *Str, s *scope) (Value, error) {
	outer := r.body
	r.body = text
	v, err := r.eval(f, s)
	r.body = outer
	return v, err
}
