package jinja

import (
	"encoding/json"
	"math"
)

// Value is a value of the template language: nil (None), bool, int64, float64, *Str, *List, *Dict, json.Number (an integer
// beyond 64 bits, which can only be printed), or one of the unexported types the language makes itself.
type Value any

// List is a Python list.
type List struct{ items []Value }

// NewList makes a list of the given values.
func NewList(items ...Value) *List { return &List{items} }

type tuple struct{ items []Value }

// span is what range() gives.
type span struct {
	start, stop, step int64
	items             []Value
}

// groupOf is a pair that groupby makes, a tuple with names.
type groupOf struct {
	key  Value
	list *List
}

// view is what dict.keys, values and items give: it has a length but no index.
type view struct {
	kind  string
	items []Value
}

// generator is what select, map and their kind give: true whatever is in it, and empty once it was read.
type generator struct{ items []Value }

func (g *generator) take() []Value {
	items := g.items
	g.items = nil
	return items
}

// Dict is a Python dict: it keeps the order in which keys were added.
type Dict struct {
	keys, vals []Value
	index      map[any]int // of keys, once there are many
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{} }

// Set adds a key or replaces its value.
func (d *Dict) Set(key string, v Value) { d.put(plain(key), v) }

const smallDict = 8

// hashable gives what two equal keys have in common, or false for what cannot be a key here: lists, dicts and
// (unlike in Python) tuples.
func hashable(v Value) (any, bool) {
	switch v := v.(type) {
	case nil:
		return pos{-1, -1}, true
	case *Str:
		return v.s, true
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	case int64, json.Number:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v), true
		}
		return v, true
	case *List, *tuple, *Dict, *view:
		return nil, false
	}
	return v, true
}

// find is the position of a key, -1 if it is not there.
func (d *Dict) find(key Value) int {
	if d.index == nil {
		if s, ok := key.(*Str); ok {
			for i, k := range d.keys {
				if t, ok := k.(*Str); ok && t.s == s.s {
					return i
				}
			}
			return -1
		}
	}
	h, ok := hashable(key)
	if !ok {
		return -1
	}
	if d.index != nil {
		if i, ok := d.index[h]; ok {
			return i
		}
		return -1
	}
	for i, k := range d.keys {
		if g, _ := hashable(k); g == h {
			return i
		}
	}
	return -1
}

func (d *Dict) get(key Value) (Value, bool) {
	if i := d.find(key); i >= 0 {
		return d.vals[i], true
	}
	return nil, false
}

// put stores a value; the key must be hashable.
func (d *Dict) put(key, v Value) {
	if i := d.find(key); i >= 0 {
		d.vals[i] = v
		return
	}
	d.keys, d.vals = append(d.keys, key), append(d.vals, v)
	switch {
	case d.index != nil:
		h, _ := hashable(key)
		d.index[h] = len(d.keys) - 1
	case len(d.keys) > smallDict:
		d.index = make(map[any]int, 2*len(d.keys))
		for i, k := range d.keys {
			h, _ := hashable(k)
			d.index[h] = i
		}
	}
}

// undefined is a name or an attribute that is not there. It prints as nothing and complains when it is used.
type undefined struct{ msg string }

// namespace is the object of namespace(): the only value whose attributes a template may set.
type namespace struct{ attrs *Dict }

// function is a callable; args are positional, kw named (nil = none).
type function struct {
	name string
	call func(r *run, args []Value, kw *Dict) (Value, error)
}

// typeName is the Python name of a value's type, as error messages give it.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, json.Number:
		return "int"
	case float64:
		return "float"
	case *Str:
		return "str"
	case *List:
		return "list"
	case *tuple, *groupOf:
		return "tuple"
	case *Dict:
		return "dict"
	case *view:
		return v.kind
	case *span:
		return "range"
	case *generator:
		return "generator"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *loopState:
		return "LoopContext"
	case *macro:
		return "Macro"
	}
	return "function"
}

func truth(v Value) bool {
	switch v := v.(type) {
	case nil, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case *Str:
		return v.s != ""
	case *List:
		return len(v.items) > 0
	case *tuple:
		return len(v.items) > 0
	case *Dict:
		return len(v.keys) > 0
	case *view:
		return len(v.items) > 0
	case *span:
		return len(v.items) > 0
	}
	return true
}

// number gives a value as int64 (isInt) or float64; bools count as integers, as in Python.
func number(v Value) (i int64, f float64, isInt, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case int64:
		return v, float64(v), true, true
	case float64:
		return 0, v, false, true
	}
	return 0, 0, false, false
}

// sequence gives the items of a list, tuple or view without using it up.
func sequence(v Value) ([]Value, bool) {
	switch v := v.(type) {
	case *List:
		return v.items, true
	case *tuple:
		return v.items, true
	case *view:
		return v.items, true
	case *groupOf:
		return []Value{v.key, v.list}, true
	case *span:
		return v.items, true
	}
	return nil, false
}

// length is Python's len.
func length(v Value) (int, error) {
	switch v := v.(type) {
	case *Str:
		return v.runes(), nil
	case *Dict:
		return len(v.keys), nil
	case *undefined:
		return 0, nil
	case *loopState:
		return v.length()
	}
	if items, ok := sequence(v); ok {
		return len(items), nil
	}
	return 0, fault("object of type '%s' has no len()", typeName(v))
}

// iterateAt is iterate for one who makes a value of so many bytes of each item.
func (r *run) iterateAt(v Value, bytes int) ([]Value, error) {
	items, err := r.iterate(v)
	if err == nil {
		err = r.spend(bytes * len(items))
	}
	return items, err
}

// iterate gives the items that a for loop over v sees.
func (r *run) iterate(v Value) ([]Value, error) {
	items, ok := sequence(v)
	switch v := v.(type) {
	case *Dict:
		items, ok = v.keys, true
	case *generator:
		items, ok = v.take(), true
	}
	if ok {
		return items, r.spendSteps(len(items) / stepItems)
	}
	switch v := v.(type) {
	case *Str:
		if err := r.spend(32 * len(v.s)); err != nil {
			return nil, err
		}
		out := make([]Value, 0, len(v.s))
		i := 0
		for j := range v.s {
			if j > i {
				out = append(out, v.sub(i, j))
			}
			i = j
		}
		if i < len(v.s) {
			out = append(out, v.sub(i, len(v.s)))
		}
		return out, nil
	case *undefined:
		return nil, nil
	case *loopState:
		return v.rest()
	}
	return nil, fault("'%s' object is not iterable", typeName(v))
}
