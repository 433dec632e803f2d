package jinja

import (
	"strings"
	"unicode/utf8"
)

// attr is obj.name: the value's own attribute or method first, then its item of that name.
func (r *run) attr(obj Value, name *Str) (Value, error) {
	if err := r.read(name); err != nil {
		return nil, err
	}
	if v, ok, err := r.ownAttr(obj, name.s); ok || err != nil {
		return v, err
	}
	if d, ok := obj.(*Dict); ok {
		if v, ok := d.get(name); ok {
			return v, nil
		}
	}
	return missing(obj, name), nil
}

// item is obj[key]: the item first, then the attribute.
func (r *run) item(obj, key Value) (Value, error) {
	if err := r.read(key); err != nil {
		return nil, err
	}
	switch o := obj.(type) {
	case *undefined:
		return nil, o.complain()
	case *Dict:
		if v, ok := o.get(key); ok {
			return v, nil
		}
	case *Str:
		if i, _, isInt, ok := number(key); ok && isInt {
			if err := r.read(o); err != nil {
				return nil, err
			}
			n := int64(o.runes())
			if i < 0 {
				i += n
			}
			if i >= 0 && i < n {
				at := runeOffset(o.s, int(i))
				_, w := utf8.DecodeRuneInString(o.s[at:])
				return o.sub(at, at+w), nil
			}
		}
	case *List, *tuple, *groupOf, *span:
		items, _ := sequence(o)
		if i, _, isInt, ok := number(key); ok && isInt {
			if i < 0 {
				i += int64(len(items))
			}
			if i >= 0 && i < int64(len(items)) {
				return items[i], nil
			}
		}
	}
	if s, ok := key.(*Str); ok {
		if v, ok, err := r.ownAttr(obj, s.s); ok || err != nil {
			return v, err
		}
	}
	return missing(obj, key), nil
}

func missing(obj, key Value) *undefined {
	if s, ok := key.(*Str); ok {
		return &undefined{"'" + objectName(obj) + "' has no attribute '" + s.s + "'"}
	}
	if i, ok := key.(int64); ok {
		return &undefined{objectName(obj) + " has no element " + repr(i)}
	}
	return &undefined{objectName(obj) + " has no element of type " + typeName(key)}
}

func objectName(v Value) string {
	if v == nil {
		return "None"
	}
	return typeName(v) + " object"
}

// ownAttr is a method or attribute that the value's type has.
func (r *run) ownAttr(obj Value, name string) (Value, bool, error) {
	if u, ok := obj.(*undefined); ok {
		return nil, false, u.complain()
	}
	if strings.HasPrefix(name, "__") {
		return &undefined{"access to attribute '" + name + "' of '" + typeName(obj) + "' object is unsafe"}, true, nil
	}
	switch o := obj.(type) {
	case *Str:
		if m, ok := r.t.lang.strMethods[name]; ok {
			return &function{name, func(r *run, args []Value, kw *Dict) (Value, error) { return m(r, o, args, kw) }}, true, nil
		}
	case *Dict:
		if m, ok := r.t.lang.dictMethods[name]; ok {
			return &function{name, func(r *run, args []Value, kw *Dict) (Value, error) { return m(r, o, args, kw) }}, true, nil
		}
		switch name {
		case "clear", "pop", "popitem", "setdefault", "update":
			return unsafeAttr(obj, name), true, nil
		}
	case *List, *tuple:
		if m, ok := r.t.lang.listMethods[name]; ok {
			return &function{name, func(r *run, args []Value, kw *Dict) (Value, error) { return m(r, o, args, kw) }}, true, nil
		}
		switch name {
		case "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove":
			return unsafeAttr(obj, name), true, nil
		}
	case *groupOf:
		switch name {
		case "grouper":
			return o.key, true, nil
		case "list":
			return o.list, true, nil
		}
	case *namespace:
		if v, ok := o.attrs.get(plain(name)); ok {
			return v, true, nil
		}
	case *loopState:
		return o.attr(name)
	case *macro:
		v, ok := o.attr(name)
		return v, ok, nil
	}
	return nil, false, nil
}

func unsafeAttr(obj Value, name string) *undefined {
	return &undefined{"access to attribute '" + name + "' of '" + typeName(obj) + "' object is unsafe: a template changes no values"}
}
