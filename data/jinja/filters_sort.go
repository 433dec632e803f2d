package jinja

import "sort"

// folded is a value as it is compared without case.
func folded(v Value, caseSensitive bool) Value {
	if s, ok := v.(*Str); ok && !caseSensitive {
		return s.lower()
	}
	return v
}

// keys gives what g finds in every item, and by which of these it is compared.
func (r *run) keys(items []Value, g getter, caseSensitive bool) (raw, compared []Value, err error) {
	raw, compared = make([]Value, len(items)), make([]Value, len(items))
	for i, it := range items {
		k, err := g.get(r, it)
		if err == nil {
			err = r.work(k)
		}
		if err != nil {
			return nil, nil, err
		}
		if s, ok := k.(*Str); ok {
			if err := r.spend(2 * len(s.s)); err != nil {
				return nil, nil, err
			}
		}
		raw[i], compared[i] = k, folded(k, caseSensitive)
	}
	return raw, compared, nil
}

// keysAt is the latter by an attribute.
func (r *run) keysAt(items []Value, attr Value, caseSensitive bool) ([]Value, error) {
	g, err := r.getter(attr, unset)
	if err != nil {
		return nil, err
	}
	_, compared, err := r.keys(items, g, caseSensitive)
	return compared, err
}

// sorted orders items by keys, stably.
func (r *run) sorted(items, keys []Value, reverse bool) ([]Value, error) {
	at := make([]int, len(items))
	for i := range at {
		at[i] = i
	}
	var bad error
	sort.SliceStable(at, func(i, j int) bool {
		if bad != nil {
			return false
		}
		a, b := keys[at[i]], keys[at[j]]
		if reverse {
			a, b = b, a
		}
		if bad = r.work(a); bad != nil {
			return false
		}
		c, _, err := order("<", a, b)
		bad = err
		return c < 0
	})
	out := make([]Value, len(items))
	for i, k := range at {
		out[i] = items[k]
	}
	return out, bad
}

func sortFilter(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("sort", args, kw, "reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.iterateAt(v, 48)
	if err != nil {
		return nil, err
	}
	keys, err := r.sortKeys(items, a.or(2, nil), truth(a.or(1, false)))
	if err != nil {
		return nil, err
	}
	out, err := r.sorted(items, keys, truth(a.or(0, false)))
	return &List{out}, err
}

// sortKeys is keys for an attribute that may name several with commas between.
func (r *run) sortKeys(items []Value, attr Value, caseSensitive bool) ([]Value, error) {
	s, ok := attr.(*Str)
	if !ok {
		return r.keysAt(items, attr, caseSensitive)
	}
	out := make([]Value, len(items))
	for i := range out {
		out[i] = &tuple{}
	}
	start := 0
	for i := 0; i <= len(s.s); i++ {
		if i < len(s.s) && s.s[i] != ',' {
			continue
		}
		if err := r.spend(32 * len(items)); err != nil {
			return nil, err
		}
		part, err := r.keysAt(items, s.sub(start, i), caseSensitive)
		if err != nil {
			return nil, err
		}
		start = i + 1
		for k, v := range part {
			t := out[k].(*tuple)
			t.items = append(t.items, v)
		}
	}
	return out, nil
}

func dictSort(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("dictsort", args, kw, "case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, fault("dictsort sorts a dict, not %s", typeName(v))
	}
	by, err := a.str(1, plain("key"))
	if err != nil {
		return nil, err
	}
	at := int64(0)
	switch by.s {
	case "key":
	case "value":
		at = 1
	default:
		return nil, fault("dictsort: you can only sort by either \"key\" or \"value\"")
	}
	if err := r.spend(96 * len(d.keys)); err != nil {
		return nil, err
	}
	items := pairs(d)
	keys, err := r.keysAt(items, at, truth(a.or(0, false)))
	if err != nil {
		return nil, err
	}
	out, err := r.sorted(items, keys, truth(a.or(2, false)))
	return &List{out}, err
}

func unique(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("unique", args, kw, "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.iterateAt(v, 64)
	if err != nil {
		return nil, err
	}
	keys, err := r.keysAt(items, a.or(1, nil), truth(a.or(0, false)))
	if err != nil {
		return nil, err
	}
	seen := map[any]bool{}
	out := &generator{}
	for i, k := range keys {
		h, ok := hashable(k)
		if !ok {
			return nil, fault("unhashable type: '%s'", typeName(k))
		}
		if !seen[h] {
			seen[h] = true
			out.items = append(out.items, items[i])
		}
	}
	return out, nil
}

// extreme is min and max: the first item that no other beats.
func extreme(name string, beats func(c int) bool) filterFunc {
	return func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "case_sensitive", "attribute")
		if err != nil {
			return nil, err
		}
		items, err := r.iterate(v)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return &undefined{"no aggregated item, sequence was empty"}, nil
		}
		keys, err := r.keysAt(items, a.or(1, nil), truth(a.or(0, false)))
		if err != nil {
			return nil, err
		}
		best := 0
		for i := 1; i < len(items); i++ {
			c, _, err := order("<", keys[i], keys[best])
			if err != nil {
				return nil, err
			}
			if beats(c) {
				best = i
			}
		}
		return items[best], nil
	}
}
