package jinja

func mapFilter(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	if !truth(v) { // as Jinja: of none come no items, and nothing else is looked at
		return &generator{}, nil
	}
	items, err := r.iterateAt(v, 16)
	if err != nil {
		return nil, err
	}
	out := &generator{make([]Value, len(items))}
	if len(args) == 0 && kw != nil && kw.find(plain("attribute")) >= 0 {
		a, err := bind("map", nil, kw, "attribute", "default")
		if err != nil {
			return nil, err
		}
		g, err := r.getter(a.or(0, nil), a.or(1, unset))
		if err != nil {
			return nil, err
		}
		for i, it := range items {
			if out.items[i], err = g.get(r, it); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if len(args) == 0 {
		return nil, fault("map requires a filter argument")
	}
	name, ok := args[0].(*Str)
	if !ok {
		return nil, fault("map: the filter's name must be str, not %s", typeName(args[0]))
	}
	for i, it := range items {
		if err := r.enter(); err != nil {
			return nil, err
		}
		out.items[i], err = r.applyFilter(name.s, it, args[1:], kw)
		r.leave()
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// selecting is select, reject, selectattr and rejectattr: keep items whose value, or attribute, passes a test or is true.
func selecting(name string, byAttr, keep bool) filterFunc {
	return func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
		if !truth(v) {
			return &generator{}, nil
		}
		items, err := r.iterate(v)
		if err != nil {
			return nil, err
		}
		var g getter
		if byAttr {
			if len(args) == 0 {
				return nil, fault("%s needs the attribute's name", name)
			}
			if g, err = r.getter(args[0], unset); err != nil {
				return nil, err
			}
			args = args[1:]
		}
		test := ""
		if len(args) > 0 {
			t, ok := args[0].(*Str)
			if !ok {
				return nil, fault("%s: the test's name must be str, not %s", name, typeName(args[0]))
			}
			test, args = t.s, args[1:]
		}
		out := &generator{}
		for _, it := range items {
			if err := r.spend(16); err != nil {
				return nil, err
			}
			x, err := g.get(r, it)
			if err != nil {
				return nil, err
			}
			ok := truth(x)
			if test != "" {
				if ok, err = r.applyTest(test, x, args); err != nil {
					return nil, err
				}
			}
			if ok == keep {
				out.items = append(out.items, it)
			}
		}
		return out, nil
	}
}

func groupBy(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("groupby", args, kw, "attribute", "default", "case_sensitive")
	if err != nil {
		return nil, err
	}
	items, err := r.iterateAt(v, 96)
	if err != nil {
		return nil, err
	}
	g, err := r.getter(a.or(0, nil), a.or(1, unset))
	if err != nil {
		return nil, err
	}
	raw, keys, err := r.keys(items, g, truth(a.or(2, false)))
	if err != nil {
		return nil, err
	}
	at := make([]Value, len(items))
	for i := range at {
		at[i] = int64(i)
	}
	if at, err = r.sorted(at, keys, false); err != nil {
		return nil, err
	}
	out := &List{}
	var group *List
	last := -1
	for _, p := range at {
		i := int(p.(int64))
		if last < 0 || !equal(keys[last], keys[i]) {
			group = &List{}
			out.items = append(out.items, &groupOf{raw[i], group})
		}
		group.items = append(group.items, items[i])
		last = i
	}
	return out, nil
}

func batch(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("batch", args, kw, "linecount", "fill_with")
	if err != nil {
		return nil, err
	}
	n, err := a.int(0, 0)
	if err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, fault("batch: the number of items must be positive")
	}
	items, err := r.iterateAt(v, 64)
	if err != nil {
		return nil, err
	}
	out := &generator{}
	for len(items) > 0 {
		k := int(min(n, int64(len(items))))
		part := append([]Value(nil), items[:k]...)
		items = items[k:]
		if fill := a.or(1, nil); fill != nil && int64(len(part)) < n {
			if err := r.spend(16); err != nil || n > int64(r.bytes/16) {
				return nil, r.spend(r.bytes + 1)
			}
			if err := r.spend(16 * int(n)); err != nil {
				return nil, err
			}
			for int64(len(part)) < n {
				part = append(part, fill)
			}
		}
		out.items = append(out.items, &List{part})
	}
	return out, nil
}

// sliceFilter cuts a sequence into n lists of about the same length.
func sliceFilter(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("slice", args, kw, "slices", "fill_with")
	if err != nil {
		return nil, err
	}
	n, err := a.int(0, 0)
	if err != nil {
		return nil, err
	}
	if n <= 0 || n > 100000 {
		return nil, fault("slice: the number of slices must be between 1 and 100000")
	}
	items, err := r.iterate(v)
	if err == nil {
		err = r.spend(16*len(items) + 64*int(n))
	}
	if err != nil {
		return nil, err
	}
	each, more := len(items)/int(n), len(items)%int(n)
	out := &generator{}
	offset := 0
	for i := range int(n) {
		start := offset + i*each
		if i < more {
			offset++
		}
		part := append([]Value(nil), items[start:offset+(i+1)*each]...)
		if fill := a.or(1, nil); fill != nil && i >= more {
			part = append(part, fill)
		}
		out.items = append(out.items, &List{part})
	}
	return out, nil
}
