package jinja

import (
	"encoding/json"
	"strings"
)

func (r *run) compare(op string, a, b Value) (bool, error) {
	if err := r.work(a); err != nil {
		return false, err
	}
	switch op {
	case "==":
		return equal(a, b), nil
	case "!=":
		return !equal(a, b), nil
	case "in":
		return r.contains(b, a)
	case "not in":
		ok, err := r.contains(b, a)
		return !ok, err
	}
	c, ok, err := order(op, a, b)
	if err != nil || !ok {
		return false, err
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

// equal is Python's ==. It recurses as deep as a nests, which the caller has bounded by work.
func equal(a, b Value) bool {
	if x, xf, xInt, ok := number(a); ok {
		y, yf, yInt, ok := number(b)
		if xInt && yInt {
			return ok && x == y
		}
		return ok && xf == yf
	}
	switch a := a.(type) {
	case *Str:
		b, ok := b.(*Str)
		return ok && a.s == b.s
	case json.Number:
		b, ok := b.(json.Number)
		return ok && a == b
	case *List:
		b, ok := b.(*List)
		return ok && equalItems(a.items, b.items)
	case *tuple:
		b, ok := b.(*tuple)
		return ok && equalItems(a.items, b.items)
	case *view:
		b, ok := b.(*view)
		return ok && equalItems(a.items, b.items)
	case *Dict:
		b, ok := b.(*Dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for i, k := range a.keys {
			if v, ok := b.get(k); !ok || !equal(a.vals[i], v) {
				return false
			}
		}
		return true
	case *undefined:
		_, ok := b.(*undefined)
		return ok
	}
	return a == b
}

func equalItems(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// order compares numbers, strings, lists and tuples; ok = false for NaN.
func order(op string, a, b Value) (c int, ok bool, err error) {
	if x, xf, xInt, is := number(a); is {
		if y, yf, yInt, is := number(b); is {
			switch {
			case xInt && yInt && x < y, !(xInt && yInt) && xf < yf:
				return -1, true, nil
			case xInt && yInt && x > y, !(xInt && yInt) && xf > yf:
				return 1, true, nil
			}
			return 0, xf == xf && yf == yf, nil
		}
	}
	switch x := a.(type) {
	case *undefined:
		return 0, false, x.complain()
	case *Str:
		if y, is := b.(*Str); is {
			return strings.Compare(x.s, y.s), true, nil
		}
	case *List:
		if y, is := b.(*List); is {
			return orderItems(op, x.items, y.items)
		}
	case *tuple:
		if y, is := b.(*tuple); is {
			return orderItems(op, x.items, y.items)
		}
	}
	if u, is := b.(*undefined); is {
		return 0, false, u.complain()
	}
	return 0, false, fault("'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
}

func orderItems(op string, a, b []Value) (int, bool, error) {
	for i := range min(len(a), len(b)) {
		if !equal(a[i], b[i]) {
			return order(op, a[i], b[i])
		}
	}
	return len(a) - len(b), true, nil
}

// contains is Python's "x in c".
func (r *run) contains(c, x Value) (bool, error) {
	switch c := c.(type) {
	case *Str:
		s, ok := x.(*Str)
		if !ok {
			return false, fault("'in <string>' requires string as left operand, not %s", typeName(x))
		}
		if err := r.read(c); err != nil { // x was, by compare
			return false, err
		}
		return index(c.s, s.s) >= 0, nil
	case *Dict:
		if _, ok := hashable(x); !ok {
			return false, fault("unhashable type: '%s'", typeName(x))
		}
		return c.find(x) >= 0, nil
	case *namespace:
		return false, fault("argument of type 'Namespace' is not iterable")
	case *generator: // read only as far as needed
		for len(c.items) > 0 {
			it := c.items[0]
			c.items = c.items[1:]
			if err := r.work(it); err != nil {
				return false, err
			}
			if equal(it, x) {
				return true, nil
			}
		}
		return false, nil
	case *List, *tuple, *view, *span, *undefined:
		items, err := r.iterate(c)
		if err != nil {
			return false, err
		}
		for _, it := range items {
			if err := r.work(it); err != nil {
				return false, err
			}
			if equal(it, x) {
				return true, nil
			}
		}
		return false, nil
	}
	return false, fault("argument of type '%s' is not iterable", typeName(c))
}
