package jinja

import (
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
		if err := r.spend(x.size() + y.size()); err != nil {
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
		size = x.size()
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
