package jinja

// loopState is the variable "loop". Items are tested against the for's condition one at a time, as they are needed, since
// the condition may read what the body sets.
type loopState struct {
	r     *run
	items []Value // not yet looked at
	pass  func(v Value) (bool, error)
	ahead []Value // passed the condition, not yet visited
	index int     // of the current item, from 0
	depth int
	prev  Value
	cur   Value
	// changed holds what loop.changed saw last.
	changed []Value
	body    func(items Value, depth int) (*Str, error) // of a recursive loop
}

// more makes sure that ahead holds n items, if there are as many.
func (l *loopState) more(n int) error {
	for len(l.ahead) < n && len(l.items) > 0 {
		v := l.items[0]
		l.items = l.items[1:]
		if l.pass != nil {
			ok, err := l.pass(v)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
		}
		l.ahead = append(l.ahead, v)
	}
	return nil
}

func (l *loopState) length() (int, error) {
	if l.pass == nil {
		return l.index + 1 + len(l.ahead) + len(l.items), nil
	}
	err := l.more(len(l.ahead) + len(l.items))
	return l.index + 1 + len(l.ahead), err
}

// rest takes the items that were not visited yet.
func (l *loopState) rest() ([]Value, error) {
	err := l.more(len(l.ahead) + len(l.items))
	out := l.ahead
	l.ahead = nil
	return out, err
}

// attr is an attribute of the loop variable.
func (l *loopState) attr(name string) (Value, bool, error) {
	n := func(i int, err error) (Value, bool, error) { return int64(i), true, err }
	switch name {
	case "index":
		return n(l.index+1, nil)
	case "index0":
		return n(l.index, nil)
	case "first":
		return l.index == 0, true, nil
	case "last":
		err := l.more(1)
		return len(l.ahead) == 0, true, err
	case "length":
		return n(l.length())
	case "revindex":
		k, err := l.length()
		return n(k-l.index, err)
	case "revindex0":
		k, err := l.length()
		return n(k-l.index-1, err)
	case "depth":
		return n(l.depth, nil)
	case "depth0":
		return n(l.depth-1, nil)
	case "previtem":
		if l.index == 0 {
			return &undefined{"there is no previous item"}, true, nil
		}
		return l.prev, true, nil
	case "nextitem":
		if err := l.more(1); err != nil {
			return nil, true, err
		}
		if len(l.ahead) == 0 {
			return &undefined{"there is no next item"}, true, nil
		}
		return l.ahead[0], true, nil
	case "cycle":
		return &function{"cycle", func(_ *run, args []Value, _ *Dict) (Value, error) {
			if len(args) == 0 {
				return nil, fault("no items for cycling given")
			}
			return args[l.index%len(args)], nil
		}}, true, nil
	case "changed":
		return &function{"changed", func(r *run, args []Value, _ *Dict) (Value, error) {
			if err := r.work(&tuple{args}); err != nil {
				return nil, err
			}
			if l.changed != nil && equal(&tuple{l.changed}, &tuple{args}) {
				return false, nil
			}
			l.changed = append([]Value{}, args...)
			return true, nil
		}}, true, nil
	}
	return nil, false, nil
}

// loop runs a for statement.
func (r *run) loop(st *forStmt, s *scope) (flow, error) {
	v, err := r.eval(st.iter, s)
	if err != nil {
		return goOn, err
	}
	return r.loopOver(st, v, s, 1)
}

func (r *run) loopOver(st *forStmt, v Value, s *scope, depth int) (flow, error) {
	if err := r.enter(); err != nil {
		return goOn, err
	}
	defer r.leave()
	items, err := r.iterate(v)
	if err != nil {
		return goOn, located(err, st.iter.at())
	}
	l := &loopState{r: r, items: items, index: -1, depth: depth}
	if st.test != nil {
		l.pass = func(v Value) (bool, error) {
			inner := &scope{parent: s}
			if err := r.assign(st.to, v, inner); err != nil {
				return false, err
			}
			if err := r.step(); err != nil {
				return false, err
			}
			ok, err := r.eval(st.test, inner)
			return truth(ok), err
		}
	}
	if st.recursive {
		l.body = func(items Value, depth int) (*Str, error) {
			outer := r.out
			r.out = &builder{}
			_, err := r.loopOver(st, items, s, depth)
			text := r.out.done()
			r.out = outer
			return text, err
		}
	}
	loopID, named := r.t.ids["loop"]
	inner := &scope{parent: s}
	for {
		if err := l.more(1); err != nil {
			return goOn, err
		}
		if len(l.ahead) == 0 {
			break
		}
		l.prev, l.cur = l.cur, l.ahead[0]
		l.ahead = l.ahead[1:]
		l.index++
		if err := r.step(); err != nil {
			return goOn, err
		}
		inner.vars = inner.vars[:0]
		if r.t.closures { // a macro made in the body keeps its round's names
			inner = &scope{parent: s}
		}
		if named {
			inner.vars = append(inner.vars, binding{loopID, l})
		}
		if err := r.assign(st.to, l.cur, inner); err != nil {
			return goOn, err
		}
		f, err := r.stmts(st.body, inner)
		if err != nil {
			return goOn, err
		}
		if f == breakLoop {
			break
		}
	}
	if l.index < 0 && st.other != nil {
		return r.stmts(st.other, &scope{parent: s})
	}
	return goOn, nil
}
