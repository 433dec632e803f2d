package jinja

import (
	"encoding/json"
	"math"
	"strings"
)

func unary(op string, v Value) (Value, error) {
	if op == "not" {
		return !truth(v), nil
	}
	i, f, isInt, ok := number(v)
	switch {
	case !ok:
		if u, is := v.(*undefined); is {
			return nil, u.complain()
		}
		return nil, fault("bad operand type for unary %s: '%s'", op, typeName(v))
	case op == "+" && isInt:
		return i, nil
	case op == "+":
		return f, nil
	case isInt && i == math.MinInt64:
		return nil, errTooLarge()
	case isInt:
		return -i, nil
	}
	return -f, nil
}

func errTooLarge() error {
	return fault("the result is an integer beyond 64 bits, which is not supported")
}

// binary is an arithmetic operator; on strings and lists + and * as in Python, % as printf.
func (r *run) binary(op string, a, b Value) (Value, error) {
	if u, ok := a.(*undefined); ok {
		return nil, u.complain()
	}
	if s, ok := a.(*Str); ok && op == "%" {
		return r.printf(s, b)
	}
	if u, ok := b.(*undefined); ok {
		return nil, u.complain()
	}
	switch op {
	case "+":
		if v, done, err := r.plus(a, b); done {
			return v, err
		}
	case "*":
		if v, done, err := r.times(a, b); done {
			return v, err
		}
	}
	x, xf, xInt, ok := number(a)
	y, yf, yInt, ok2 := number(b)
	if !ok || !ok2 {
		if op == "**" {
			op = "** or pow()"
		}
		return nil, fault("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
	}
	if xInt && yInt && op != "/" && (op != "**" || y >= 0) {
		return intOp(op, x, y)
	}
	return floatOp(op, xf, yf)
}

// plus joins strings, lists and tuples; done = false leaves the operands to arithmetic.
func (r *run) plus(a, b Value) (v Value, done bool, err error) {
	switch x := a.(type) {
	case *Str:
		y, ok := b.(*Str)
		if !ok {
			return nil, true, fault("can only concatenate str (not \"%s\") to str", typeName(b))
		}
		if err := r.spend(len(x.s) + len(y.s)); err != nil {
			return nil, true, err
		}
		return concat(x, y), true, nil
	case *List:
		y, ok := b.(*List)
		if !ok {
			return nil, true, fault("can only concatenate list (not \"%s\") to list", typeName(b))
		}
		items, err := r.joined(x.items, y.items)
		return &List{items}, true, err
	case *tuple:
		y, ok := b.(*tuple)
		if !ok {
			return nil, true, fault("can only concatenate tuple (not \"%s\") to tuple", typeName(b))
		}
		items, err := r.joined(x.items, y.items)
		return &tuple{items}, true, err
	}
	return nil, false, nil
}

func (r *run) joined(a, b []Value) ([]Value, error) {
	if err := r.spend(16 * (len(a) + len(b))); err != nil {
		return nil, err
	}
	return append(append(make([]Value, 0, len(a)+len(b)), a...), b...), nil
}

// times repeats strings, lists and tuples.
func (r *run) times(a, b Value) (v Value, done bool, err error) {
	if _, _, isInt, ok := number(a); ok && isInt {
		a, b = b, a
	}
	n, _, isInt, ok := number(b)
	if !ok || !isInt {
		return nil, false, nil
	}
	n = max(n, 0)
	size := 0
	switch x := a.(type) {
	case *Str:
		size = len(x.s) + 24*len(x.marks)
	case *List:
		size = 16 * len(x.items)
	case *tuple:
		size = 16 * len(x.items)
	default:
		return nil, false, nil
	}
	if size > 0 && n > int64(r.bytes/size) {
		return nil, true, r.spend(math.MaxInt)
	}
	if err := r.spend(size * int(n)); err != nil {
		return nil, true, err
	}
	if size == 0 {
		n = 0
	}
	repeat := func(items []Value) []Value {
		out := make([]Value, 0, len(items)*int(n))
		for range n {
			out = append(out, items...)
		}
		return out
	}
	switch x := a.(type) {
	case *List:
		return &List{repeat(x.items)}, true, nil
	case *tuple:
		return &tuple{repeat(x.items)}, true, nil
	}
	s := a.(*Str)
	out := &Str{s: strings.Repeat(s.s, int(n))}
	for i := range int(n) {
		if len(s.marks) == 0 {
			break
		}
		out.marks = appendMarks(out.marks, s.marks, i*len(s.s))
	}
	return out, true, nil
}

func intOp(op string, x, y int64) (Value, error) {
	switch op {
	case "+":
		if z := x + y; (z > x) == (y > 0) {
			return z, nil
		}
		return nil, errTooLarge()
	case "-":
		if z := x - y; (z < x) == (y > 0) {
			return z, nil
		}
		return nil, errTooLarge()
	case "*":
		return mul(x, y)
	case "**":
		out, err := Value(int64(1)), error(nil)
		if x == 0 || x == 1 || x == -1 {
			y = min(y, 2-y%2) // the parity is all that counts
			if x == 0 && y != 0 {
				return int64(0), nil
			}
		}
		for ; y > 0 && err == nil; y-- {
			out, err = mul(out.(int64), x)
		}
		return out, err
	}
	if y == 0 {
		if op == "%" {
			return nil, fault("integer modulo by zero")
		}
		return nil, fault("integer division or modulo by zero")
	}
	if x == math.MinInt64 && y == -1 {
		if op == "%" {
			return int64(0), nil
		}
		return nil, errTooLarge()
	}
	q, m := x/y, x%y
	if m != 0 && (m < 0) != (y < 0) { // Python rounds down
		q, m = q-1, m+y
	}
	if op == "%" {
		return m, nil
	}
	return q, nil
}

func mul(x, y int64) (Value, error) {
	z := x * y
	if x != 0 && (z/x != y || x == -1 && y == math.MinInt64) {
		return nil, errTooLarge()
	}
	return z, nil
}

func floatOp(op string, x, y float64) (Value, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		if x == 0 && y < 0 {
			return nil, fault("0.0 cannot be raised to a negative power")
		}
		if x < 0 && y != math.Trunc(y) {
			return nil, fault("a negative number to a fractional power is complex, which is not supported")
		}
		return math.Pow(x, y), nil
	}
	if y == 0 {
		return nil, fault("float division by zero")
	}
	if op == "/" {
		return x / y, nil
	}
	m := math.Mod(x, y)
	q := (x - m) / y
	if m != 0 && (m < 0) != (y < 0) {
		m, q = m+y, q-1
	}
	if op == "%" {
		return m, nil
	}
	return math.Round(q), nil
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
		if err := r.spendSteps(len(c.s) / 64); err != nil {
			return false, err
		}
		return strings.Contains(c.s, s.s), nil
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

// spendSteps counts n units of work at once.
func (r *run) spendSteps(n int) error {
	if r.steps -= n; r.steps < 0 || n < 0 {
		return limit("the template takes too many steps")
	}
	return nil
}

// maxValueDepth bounds lists within lists, so that walking a value is bounded.
const maxValueDepth = 500

// work counts the size of a value that is about to be walked through.
func (r *run) work(v Value) error { return r.walk(v, 0) }

func (r *run) walk(v Value, depth int) error {
	if err := r.step(); err != nil {
		return err
	}
	if depth > maxValueDepth {
		return limit("a value nests deeper than %d levels", maxValueDepth)
	}
	var items []Value
	switch v := v.(type) {
	case *Str:
		return r.spendSteps(len(v.s) / 64)
	case *Dict:
		items = v.vals
	default:
		items, _ = sequence(v)
	}
	for _, it := range items {
		if err := r.walk(it, depth+1); err != nil {
			return err
		}
	}
	return nil
}
