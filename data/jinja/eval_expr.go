package jinja

// eval gives the value of an expression. An error carries the position of the innermost node it came from.
func (r *run) eval(e expr, s *scope) (Value, error) {
	if err := r.enter(); err != nil {
		return nil, located(err, e.at())
	}
	v, err := r.evalNode(e, s)
	r.leave()
	if err != nil {
		return nil, located(err, e.at())
	}
	return v, nil
}

func (r *run) evalNode(e expr, s *scope) (Value, error) {
	switch e := e.(type) {
	case *constExpr:
		return e.v, nil
	case *nameExpr:
		v, err := r.lookup(e.id, s)
		if v != unset || err != nil {
			return v, err
		}
		name := r.t.names[e.id]
		return &undefined{"'" + name + "' is undefined"}, r.spendSteps(len(name) / stepBytes)
	case *attrExpr:
		obj, err := r.eval(e.obj, s)
		if err != nil {
			return nil, err
		}
		return r.attr(obj, e.name)
	case *itemExpr:
		obj, err := r.eval(e.obj, s)
		if err != nil {
			return nil, err
		}
		if sl, ok := e.key.(*sliceExpr); ok {
			return r.slice(obj, sl, s)
		}
		key, err := r.eval(e.key, s)
		if err != nil {
			return nil, err
		}
		return r.item(obj, key)
	case *listExpr:
		items, err := r.evalAll(e.items, s)
		return &List{items}, err
	case *tupleExpr:
		items, err := r.evalAll(e.items, s)
		return &tuple{items}, err
	case *dictExpr:
		return r.dict(e, s)
	case *unaryExpr:
		v, err := r.eval(e.x, s)
		if err != nil {
			return nil, err
		}
		return unary(e.op, v)
	case *binExpr:
		a, err := r.eval(e.a, s)
		if err != nil {
			return nil, err
		}
		switch {
		case e.op == "and" && !truth(a), e.op == "or" && truth(a):
			return a, nil
		}
		b, err := r.eval(e.b, s)
		if err != nil || e.op == "and" || e.op == "or" {
			return b, err
		}
		return r.binary(e.op, a, b)
	case *concatExpr:
		var b builder
		for _, x := range e.items {
			v, err := r.eval(x, s)
			if err != nil {
				return nil, err
			}
			text, err := r.str(v)
			if err == nil {
				err = r.spend(text.size())
			}
			if err != nil {
				return nil, err
			}
			b.str(text)
		}
		return b.done(), nil
	case *compareExpr:
		a, err := r.eval(e.first, s)
		if err != nil {
			return nil, err
		}
		for i, op := range e.ops {
			b, err := r.eval(e.rest[i], s)
			if err != nil {
				return nil, err
			}
			ok, err := r.compare(op, a, b)
			if err != nil || !ok {
				return false, err
			}
			a = b
		}
		return true, nil
	case *condExpr:
		test, err := r.eval(e.test, s)
		if err != nil {
			return nil, err
		}
		if truth(test) {
			return r.eval(e.then, s)
		}
		if e.other == nil {
			return &undefined{"the inline if-expression evaluated to false and no else section was defined"}, nil
		}
		return r.eval(e.other, s)
	case *callExpr:
		return r.callWith(e, s, nil)
	case *filterExpr:
		return r.filter(e, s)
	case *testExpr:
		return r.test(e, s)
	case *sliceExpr:
		return nil, fault("a slice is no value")
	}
	return nil, fault("unknown expression %T", e)
}

func (r *run) evalAll(list []expr, s *scope) ([]Value, error) {
	if err := r.spend(16 * len(list)); err != nil {
		return nil, err
	}
	out := make([]Value, len(list))
	for i, x := range list {
		var err error
		if out[i], err = r.eval(x, s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *run) dict(e *dictExpr, s *scope) (Value, error) {
	if err := r.spend(48 * len(e.keys)); err != nil {
		return nil, err
	}
	d := NewDict()
	for i, k := range e.keys {
		key, err := r.eval(k, s)
		if err != nil {
			return nil, err
		}
		if _, ok := hashable(key); !ok {
			return nil, fault("unhashable type: '%s'", typeName(key))
		}
		if err := r.read(key); err != nil {
			return nil, err
		}
		v, err := r.eval(e.vals[i], s)
		if err != nil {
			return nil, err
		}
		d.put(key, v)
	}
	return d, nil
}

// arguments evaluates the arguments of a call.
func (r *run) arguments(a *callArgs, s *scope) ([]Value, *Dict, error) {
	if len(a.args) == 0 && len(a.named) == 0 && a.star == nil && a.starstar == nil {
		return nil, nil, nil
	}
	args, err := r.evalAll(a.args, s)
	if err != nil {
		return nil, nil, err
	}
	if a.star != nil {
		v, err := r.eval(a.star, s)
		if err != nil {
			return nil, nil, err
		}
		more, err := r.iterateAt(v, 16)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, more...)
	}
	if len(a.named) == 0 && a.starstar == nil {
		return args, nil, nil
	}
	kw := NewDict()
	for i, x := range a.named {
		v, err := r.eval(x, s)
		if err != nil {
			return nil, nil, err
		}
		if err := r.read(a.names[i]); err != nil {
			return nil, nil, err
		}
		if kw.find(a.names[i]) >= 0 {
			return nil, nil, fault("keyword argument repeated: %s", a.names[i].s)
		}
		kw.put(a.names[i], v)
	}
	if a.starstar != nil {
		v, err := r.eval(a.starstar, s)
		if err != nil {
			return nil, nil, err
		}
		d, ok := v.(*Dict)
		if !ok {
			return nil, nil, fault("argument after ** must be a mapping, not %s", typeName(v))
		}
		if err := r.spend(48 * len(d.keys)); err != nil {
			return nil, nil, err
		}
		if err := r.readAll(d.keys, nil); err != nil {
			return nil, nil, err
		}
		for i, k := range d.keys {
			if _, ok := k.(*Str); !ok {
				return nil, nil, fault("keywords must be strings")
			}
			if kw.find(k) >= 0 {
				return nil, nil, fault("got multiple values for keyword argument '%s'", k.(*Str).s)
			}
			kw.put(k, d.vals[i])
		}
	}
	return args, kw, nil
}

// callWith evaluates a call; caller is the body of a call block, nil otherwise.
func (r *run) callWith(e *callExpr, s *scope, caller *macro) (Value, error) {
	fn, err := r.eval(e.fn, s)
	if err != nil {
		return nil, err
	}
	args, kw, err := r.arguments(&e.args, s)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		if kw == nil {
			kw = NewDict()
		}
		kw.put(plain("caller"), caller)
	}
	return r.call(fn, args, kw)
}

func (r *run) call(fn Value, args []Value, kw *Dict) (Value, error) {
	switch fn := fn.(type) {
	case *function:
		return fn.call(r, args, kw)
	case *macro:
		return r.callMacro(fn, args, kw)
	case *loopState:
		if fn.body == nil {
			return nil, fault("the loop must have the 'recursive' marker to be called recursively")
		}
		if len(args) != 1 {
			return nil, fault("loop() takes one argument, got %d", len(args))
		}
		return fn.body(args[0], fn.depth+1)
	case *undefined:
		return nil, fn.complain()
	}
	return nil, fault("'%s' object is not callable", typeName(fn))
}

// complain is the error of using an undefined value.
func (u *undefined) complain() error { return fault("%s", u.msg) }
