package jinja

// seqFilters are the filters of lists and dicts.
func seqFilters() map[string]filterFunc {
	count := func(_ *run, v Value, args []Value, kw *Dict) (Value, error) {
		if _, err := bind("length", args, kw); err != nil {
			return nil, err
		}
		n, err := length(v)
		return int64(n), err
	}
	return map[string]filterFunc{
		"length": count,
		"count":  count,
		"list": func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			items, err := r.iterateAt(v, 16)
			return &List{append([]Value(nil), items...)}, err
		},
		"items": func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			switch v := v.(type) {
			case *undefined:
				return &generator{}, nil
			case *Dict:
				return &generator{pairs(v)}, r.spend(64 * len(v.keys))
			}
			return nil, fault("can only get item pairs from a mapping")
		},
		"first": func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			items, err := r.iterate(v)
			if err != nil || len(items) == 0 {
				return &undefined{"no first item, sequence was empty"}, err
			}
			return items[0], nil
		},
		"last": func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			if _, ok := v.(*generator); ok {
				return nil, fault("'generator' object is not reversible")
			}
			items, err := r.iterate(v)
			if err != nil || len(items) == 0 {
				return &undefined{"no last item, sequence was empty"}, err
			}
			return items[len(items)-1], nil
		},
		"join":       joinFilter,
		"reverse":    reverse,
		"sort":       sortFilter,
		"dictsort":   dictSort,
		"unique":     unique,
		"min":        extreme("min", func(c int) bool { return c < 0 }),
		"max":        extreme("max", func(c int) bool { return c > 0 }),
		"sum":        sum,
		"map":        mapFilter,
		"select":     selecting("select", false, true),
		"reject":     selecting("reject", false, false),
		"selectattr": selecting("selectattr", true, true),
		"rejectattr": selecting("rejectattr", true, false),
		"groupby":    groupBy,
		"batch":      batch,
		"slice":      sliceFilter,
	}
}

// getter is an attribute path such as "a.b.0", or nil for the item itself.
type getter struct {
	path []Value
	def  Value // in place of an attribute that is not there; unset = none
}

func (r *run) getter(attr, def Value) (getter, error) {
	g := getter{def: def}
	switch attr := attr.(type) {
	case nil, *undefined:
	case int64:
		g.path = []Value{attr}
	case *Str:
		if err := r.spend(32 * len(attr.s)); err != nil {
			return g, err
		}
		g.path = splitDots(attr)
	default:
		return g, fault("an attribute is a string or a number, not %s", typeName(attr))
	}
	return g, nil
}

// splitDots cuts "a.b.0" into "a", "b" and 0.
func splitDots(s *Str) []Value {
	var out []Value
	start := 0
	for i := 0; i <= len(s.s); i++ {
		if i < len(s.s) && s.s[i] != '.' {
			continue
		}
		part := s.s[start:i]
		start = i + 1
		n, isNumber := int64(0), part != "" && len(part) < 10
		for _, c := range []byte(part) {
			isNumber = isNumber && isDigit(c)
			n = 10*n + int64(c-'0')
		}
		if isNumber {
			out = append(out, n)
		} else {
			out = append(out, plain(part))
		}
	}
	return out
}

func (g getter) get(r *run, v Value) (Value, error) {
	for _, p := range g.path {
		if err := r.step(); err != nil {
			return nil, err
		}
		var err error
		if v, err = r.item(v, p); err != nil {
			return nil, err
		}
		if _, undef := v.(*undefined); undef && g.def != unset {
			v = g.def
		}
	}
	return v, nil
}

func reverse(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	if _, ok := v.(*generator); ok {
		return nil, fault("argument must be iterable")
	}
	items, err := r.iterateAt(v, 16)
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(items))
	for i, it := range items {
		out[len(items)-1-i] = it
	}
	if _, ok := v.(*Str); ok {
		var b builder
		for _, c := range out {
			b.str(c.(*Str))
		}
		return b.done(), nil
	}
	return &generator{out}, nil
}

func joinFilter(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("join", args, kw, "d", "attribute")
	if err != nil {
		return nil, err
	}
	sep, err := r.str(a.or(0, plain("")))
	if err != nil {
		return nil, err
	}
	items, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	g, err := r.getter(a.or(1, nil), unset)
	if err != nil {
		return nil, err
	}
	parts := make([]*Str, len(items))
	for i, it := range items {
		x, err := g.get(r, it)
		if err == nil {
			parts[i], err = r.str(x)
		}
		if err != nil {
			return nil, err
		}
	}
	return r.join(sep, parts)
}

func sum(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("sum", args, kw, "attribute", "start")
	if err != nil {
		return nil, err
	}
	items, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	g, err := r.getter(a.or(0, nil), unset)
	if err != nil {
		return nil, err
	}
	total := a.or(1, int64(0))
	for _, it := range items {
		if err := r.step(); err != nil {
			return nil, err
		}
		x, err := g.get(r, it)
		if err == nil {
			total, err = r.binary("+", total, x)
		}
		if err != nil {
			return nil, err
		}
	}
	return total, nil
}
