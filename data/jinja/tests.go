package jinja

import (
	"encoding/json"
	"unicode"
)

type testFunc func(r *run, v Value, args []Value) (bool, error)

// newTests gives the tests of "is" by name, aliases included.
func newTests() map[string]testFunc {
	simple := func(f func(v Value) bool) testFunc {
		return func(_ *run, v Value, args []Value) (bool, error) {
			if len(args) > 0 {
				return false, fault("this test takes no argument")
			}
			return f(v), nil
		}
	}
	compare := func(op string) testFunc {
		return func(r *run, v Value, args []Value) (bool, error) {
			if len(args) != 1 {
				return false, fault("this test takes one argument, got %d", len(args))
			}
			return r.compare(op, v, args[0])
		}
	}
	modulo := func(n, rest int64) testFunc {
		return func(r *run, v Value, args []Value) (bool, error) {
			m, err := r.binary("%", v, n)
			return err == nil && equal(m, rest), err
		}
	}
	text := func(f func(s string) bool) testFunc {
		return func(r *run, v Value, _ []Value) (bool, error) {
			s, err := r.str(v)
			return err == nil && f(s.s), err
		}
	}
	is := func(names ...string) testFunc {
		return simple(func(v Value) bool {
			t := typeName(v)
			for _, n := range names {
				if t == n {
					return true
				}
			}
			return false
		})
	}
	eq, ne, lt, le, gt, ge := compare("=="), compare("!="), compare("<"), compare("<="), compare(">"), compare(">=")
	return map[string]testFunc{
		"defined":   simple(func(v Value) bool { _, u := v.(*undefined); return !u }),
		"undefined": is("Undefined"),
		"none":      is("NoneType"),
		"boolean":   is("bool"),
		"string":    is("str"),
		"integer":   is("int"),
		"float":     is("float"),
		"number":    is("int", "float", "bool"),
		"mapping":   is("dict"),
		"true":      simple(func(v Value) bool { return v == true }),
		"false":     simple(func(v Value) bool { return v == false }),
		"sequence":  is("str", "list", "tuple", "dict", "range", "Undefined"),
		"iterable": is("str", "list", "tuple", "dict", "range", "Undefined", "dict_items", "dict_keys", "dict_values", "generator",
			"LoopContext"),
		"callable":    is("function", "Macro", "LoopContext"),
		"escaped":     simple(func(Value) bool { return false }),
		"odd":         modulo(2, 1),
		"even":        modulo(2, 0),
		"eq":          eq,
		"equalto":     eq,
		"==":          eq,
		"ne":          ne,
		"!=":          ne,
		"lt":          lt,
		"lessthan":    lt,
		"<":           lt,
		"le":          le,
		"<=":          le,
		"gt":          gt,
		"greaterthan": gt,
		">":           gt,
		"ge":          ge,
		">=":          ge,
		"in":          compare("in"),
		"lower":       text(func(s string) bool { return cased(s, unicode.IsUpper) }),
		"upper":       text(func(s string) bool { return cased(s, unicode.IsLower) }),
		"filter": func(r *run, v Value, _ []Value) (bool, error) {
			s, ok := v.(*Str)
			return ok && r.t.lang.filters[s.s] != nil, nil
		},
		"test": func(r *run, v Value, _ []Value) (bool, error) {
			s, ok := v.(*Str)
			return ok && r.t.lang.tests[s.s] != nil, nil
		},
		"divisibleby": func(r *run, v Value, args []Value) (bool, error) {
			if len(args) != 1 {
				return false, fault("divisibleby takes one argument, got %d", len(args))
			}
			m, err := r.binary("%", v, args[0])
			return err == nil && equal(m, int64(0)), err
		},
		"sameas": func(_ *run, v Value, args []Value) (bool, error) {
			if len(args) != 1 {
				return false, fault("sameas takes one argument, got %d", len(args))
			}
			return same(v, args[0]), nil
		},
	}
}

// same is Python's "is"; small values are the same object when they are equal and of one type.
func same(a, b Value) bool {
	switch a.(type) {
	case *Str, int64, float64, bool, json.Number, nil:
		return typeName(a) == typeName(b) && equal(a, b)
	}
	return a == b
}

func (r *run) test(e *testExpr, s *scope) (Value, error) {
	v, err := r.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	args, kw, err := r.arguments(&e.args, s)
	if err != nil {
		return nil, err
	}
	if kw != nil {
		args = append(args, kw.vals...)
	}
	return r.applyTest(e.name, v, args)
}

func (r *run) applyTest(name string, v Value, args []Value) (bool, error) {
	f, ok := r.t.lang.tests[name]
	if !ok {
		return false, fault("no test named '%s'", name)
	}
	return f(r, v, args)
}
