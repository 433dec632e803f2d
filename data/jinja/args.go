package jinja

import "slices"

// bound are arguments by parameter.
type bound struct {
	name  string
	vals  []Value
	given []bool
}

// bind puts positional and named arguments to the parameters of a function.
func bind(name string, args []Value, kw *Dict, params ...string) (bound, error) {
	b := bound{name, make([]Value, len(params)), make([]bool, len(params))}
	if len(args) > len(params) {
		return b, fault("%s takes at most %d argument(s), got %d", name, len(params), len(args))
	}
	for i, v := range args {
		b.vals[i], b.given[i] = v, true
	}
	if kw != nil {
		for i, k := range kw.keys {
			n := slices.Index(params, k.(*Str).s)
			if n < 0 {
				return b, fault("%s takes no argument named '%s'", name, k.(*Str).s)
			}
			if b.given[n] {
				return b, fault("%s got two values for '%s'", name, k.(*Str).s)
			}
			b.vals[n], b.given[n] = kw.vals[i], true
		}
	}
	return b, nil
}

// or is argument i, or def where it was not given.
func (b bound) or(i int, def Value) Value {
	if b.given[i] {
		return b.vals[i]
	}
	return def
}

// str is argument i as a string; def = nil makes it required.
func (b bound) str(i int, def *Str) (*Str, error) {
	if !b.given[i] {
		if def == nil {
			return nil, fault("%s needs %d argument(s)", b.name, i+1)
		}
		return def, nil
	}
	s, ok := b.vals[i].(*Str)
	if !ok {
		if u, is := b.vals[i].(*undefined); is {
			return nil, u.complain()
		}
		return nil, fault("%s: argument %d must be str, not %s", b.name, i+1, typeName(b.vals[i]))
	}
	return s, nil
}

// optional is argument i as a string, nil where it is None or not given.
func (b bound) optional(i int) (*Str, error) {
	if b.or(i, nil) == nil {
		return nil, nil
	}
	return b.str(i, nil)
}

// int is argument i as an integer.
func (b bound) int(i int, def int64) (int64, error) {
	if !b.given[i] {
		return def, nil
	}
	n, _, isInt, ok := number(b.vals[i])
	if !ok || !isInt {
		return 0, fault("%s: argument %d must be an integer, not %s", b.name, i+1, typeName(b.vals[i]))
	}
	return n, nil
}
