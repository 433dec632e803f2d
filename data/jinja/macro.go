package jinja

// macro is a macro or the body of a call block, with the scope it was made in.
type macro struct {
	def   *macroDef
	scope *scope
}

// attr is an attribute of the macro itself.
func (m *macro) attr(name string) (Value, bool) {
	switch name {
	case "name":
		return plain(m.def.name), true
	case "arguments":
		t := &tuple{}
		for _, n := range m.def.names {
			t.items = append(t.items, plain(n))
		}
		return t, true
	case "caller":
		return m.def.caller >= 0, true
	case "catch_kwargs":
		return m.def.kwargs >= 0, true
	case "catch_varargs":
		return m.def.varargs >= 0, true
	}
	return nil, false
}

func (r *run) callMacro(m *macro, args []Value, kw *Dict) (Value, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	d := m.def
	compared := len(d.params) * len(d.params) // names
	if kw != nil {
		compared += len(d.params) * len(kw.keys)
	}
	if err := r.spendSteps(compared / stepItems); err != nil {
		return nil, err
	}
	s := &scope{parent: m.scope}
	given := args[:min(len(args), len(d.params))]
	rest := &tuple{args[len(given):]}
	others := NewDict()
	var caller Value
	if kw != nil {
		for i, k := range kw.keys {
			name := k.(*Str).s
			known := false
			for j, p := range d.names {
				if p == name {
					if j < len(given) {
						return nil, fault("macro '%s' got multiple values for argument '%s'", d.name, name)
					}
					known = true
				}
			}
			switch {
			case known:
			case name == "caller":
				caller = kw.vals[i]
			default:
				others.put(k, kw.vals[i])
			}
		}
	}
	first := len(d.params) - len(d.defaults) // of the parameters with a default
	for i, id := range d.params {
		var v Value
		switch {
		case i < len(given):
			v = given[i]
		default:
			if kw != nil {
				if w, ok := kw.get(plain(d.names[i])); ok {
					v = w
					break
				}
			}
			if i >= first {
				var err error
				if v, err = r.eval(d.defaults[i-first], s); err != nil {
					return nil, err
				}
				break
			}
			v = &undefined{"parameter '" + d.names[i] + "' was not provided"}
		}
		s.set(id, v)
	}
	switch {
	case d.caller >= 0 && caller != nil:
		s.set(d.caller, caller)
	case d.caller >= 0:
		s.set(d.caller, &undefined{"No caller defined"})
	case caller != nil:
		return nil, fault("macro '%s' was invoked with two values for the special caller argument or does not use it", d.name)
	}
	if d.kwargs >= 0 {
		s.set(d.kwargs, others)
	} else if len(others.keys) > 0 {
		return nil, fault("macro '%s' takes no keyword argument '%s'", d.name, others.keys[0].(*Str).s)
	}
	if d.varargs >= 0 {
		s.set(d.varargs, rest)
	} else if len(rest.items) > 0 {
		return nil, fault("macro '%s' takes not more than %d argument(s)", d.name, len(d.params))
	}
	return r.capture(d.body, s)
}
