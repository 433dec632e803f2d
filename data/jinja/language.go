package jinja

import (
	"maps"
	"sync"
)

// lang holds what a template can call by name.
type lang struct {
	filters     map[string]filterFunc
	tests       map[string]testFunc
	strMethods  map[string]strMethod
	dictMethods map[string]dictMethod
	listMethods map[string]listMethod
	globals     map[string]*function // the functions that every template sees
}

// builtins are the tables, made once and then only read.
var builtins = sync.OnceValue(func() *lang {
	l := &lang{filters: textFilters(), tests: newTests(), strMethods: strMethods(), dictMethods: dictMethods(), listMethods: listMethods(), globals: map[string]*function{}}
	maps.Copy(l.filters, seqFilters())
	l.charge()
	return l
})

type globalFunc = func(r *run, args []Value, kw *Dict) (Value, error)

// maxRange is the sandbox's bound on range().
const maxRange = 100_000

// globals gives the functions that every template sees.
func globals() map[string]globalFunc {
	return map[string]globalFunc{
		"range": pyRange,
		"dict": func(r *run, args []Value, kw *Dict) (Value, error) {
			d := NewDict()
			return d, r.fill(d, "dict", args, kw)
		},
		"namespace":       newNamespace,
		"raise_exception": raiseException,
		"strftime_now": func(r *run, args []Value, kw *Dict) (Value, error) {
			a, err := bind("strftime_now", args, kw, "format")
			if err != nil {
				return nil, err
			}
			s, err := a.str(0, nil)
			if err != nil {
				return nil, err
			}
			return r.strftime(s)
		},
		"joiner": joiner,
		"cycler": cycler,
	}
}

func newNamespace(r *run, args []Value, kw *Dict) (Value, error) {
	ns := &namespace{NewDict()}
	if err := r.fill(ns.attrs, "namespace", args, kw); err != nil {
		return nil, err
	}
	for _, k := range ns.attrs.keys {
		if s, ok := k.(*Str); ok && len(s.s) > 0 && s.s[0] == '_' {
			return nil, ns.set(s, nil)
		}
	}
	return ns, nil
}

func raiseException(r *run, args []Value, kw *Dict) (Value, error) {
	a, err := bind("raise_exception", args, kw, "message")
	if err != nil {
		return nil, err
	}
	s, err := r.str(a.or(0, nil))
	if err != nil {
		return nil, err
	}
	return nil, &Error{Kind: Raised, Msg: s.s}
}

func joiner(_ *run, args []Value, kw *Dict) (Value, error) {
	a, err := bind("joiner", args, kw, "sep")
	if err != nil {
		return nil, err
	}
	sep, used := a.or(0, plain(", ")), false
	return &function{"joiner", func(*run, []Value, *Dict) (Value, error) {
		if !used {
			used = true
			return plain(""), nil
		}
		return sep, nil
	}}, nil
}

func cycler(_ *run, args []Value, _ *Dict) (Value, error) {
	if len(args) == 0 {
		return nil, fault("at least one item has to be provided")
	}
	at := 0
	c := &namespace{NewDict()}
	step := func(to func() int) *function {
		return &function{"cycler", func(*run, []Value, *Dict) (Value, error) {
			v := args[at]
			at = to()
			c.attrs.Set("current", args[at])
			return v, nil
		}}
	}
	c.attrs.Set("current", args[0])
	c.attrs.Set("next", step(func() int { return (at + 1) % len(args) }))
	c.attrs.Set("reset", step(func() int { return 0 }))
	return c, nil
}

func pyRange(r *run, args []Value, kw *Dict) (Value, error) {
	a, err := bind("range", args, kw, "start", "stop", "step")
	if err != nil {
		return nil, err
	}
	var v [3]int64
	for i := range v {
		if v[i], err = a.int(i, 1); err != nil {
			return nil, err
		}
	}
	switch {
	case len(args) == 0:
		return nil, fault("range expected at least 1 argument, got 0")
	case len(args) == 1:
		v[0], v[1] = 0, v[0]
	}
	if v[2] == 0 {
		return nil, fault("range() arg 3 must not be zero")
	}
	l := &span{start: v[0], stop: v[1], step: v[2]}
	for i := v[0]; v[2] > 0 && i < v[1] || v[2] < 0 && i > v[1]; i += v[2] {
		if len(l.items) == maxRange {
			return nil, limit("range too big: the sandbox allows %d items", maxRange)
		}
		l.items = append(l.items, i)
		if next := i + v[2]; (next > i) != (v[2] > 0) {
			break
		}
	}
	return l, r.spend(24 * len(l.items))
}

// fill puts what dict(...) and namespace(...) are given into d: a dict or a list of pairs, and named arguments.
func (r *run) fill(d *Dict, name string, args []Value, kw *Dict) error {
	if len(args) > 1 {
		return fault("%s expected at most 1 argument, got %d", name, len(args))
	}
	for _, src := range append(append([]Value{}, args...), Value(kw)) {
		from, ok := src.(*Dict)
		if ok && from == nil {
			continue
		}
		if ok {
			if err := r.spend(48 * len(from.keys)); err != nil {
				return err
			}
			if err := r.readAll(from.keys, nil); err != nil {
				return err
			}
			for i, k := range from.keys {
				d.put(k, from.vals[i])
			}
			continue
		}
		items, err := r.iterate(src)
		if err != nil {
			return err
		}
		for _, it := range items {
			pair, err := r.iterate(it)
			if err != nil {
				return err
			}
			if len(pair) != 2 {
				return fault("dictionary update sequence element has length %d; 2 is required", len(pair))
			}
			if _, ok := hashable(pair[0]); !ok {
				return fault("unhashable type: '%s'", typeName(pair[0]))
			}
			if err := r.spend(48); err != nil {
				return err
			}
			if err := r.read(pair[0]); err != nil {
				return err
			}
			d.put(pair[0], pair[1])
		}
	}
	return nil
}
