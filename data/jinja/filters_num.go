package jinja

import (
	"math"
	"strconv"
	"strings"
)

func toInt(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("int", args, kw, "default", "base")
	if err != nil {
		return nil, err
	}
	def := a.or(0, int64(0))
	base, err := a.int(1, 10)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(*Str); ok {
		text := strings.ReplaceAll(strings.TrimFunc(s.s, isSpace), "_", "")
		if base == 10 {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return n, nil
			}
			f, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return def, nil
			}
			return floatToInt(f, def), nil
		}
		if base < 2 || base > 36 {
			return def, nil
		}
		for prefix, b := range map[string]int64{"0x": 16, "0o": 8, "0b": 2} {
			if b == base {
				text = strings.TrimPrefix(strings.ToLower(text), prefix)
			}
		}
		if n, err := strconv.ParseInt(text, int(base), 64); err == nil {
			return n, nil
		}
		return def, nil
	}
	i, f, isInt, ok := number(v)
	switch {
	case !ok:
		if u, is := v.(*undefined); is {
			return nil, u.complain()
		}
		return def, nil
	case isInt:
		return i, nil
	}
	return floatToInt(f, def), nil
}

func floatToInt(f float64, def Value) Value {
	if f = math.Trunc(f); f >= -(1<<63) && f < 1<<63 {
		return int64(f)
	}
	return def
}

func toFloat(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("float", args, kw, "default")
	if err != nil {
		return nil, err
	}
	if s, ok := v.(*Str); ok {
		f, err := strconv.ParseFloat(strings.TrimFunc(s.s, isSpace), 64)
		if err != nil && !math.IsInf(f, 0) {
			return a.or(0, 0.0), nil
		}
		return f, nil
	}
	if _, f, _, ok := number(v); ok {
		return f, nil
	}
	if u, is := v.(*undefined); is {
		return nil, u.complain()
	}
	return a.or(0, 0.0), nil
}

func abs(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	i, f, isInt, ok := number(v)
	switch {
	case !ok:
		return nil, fault("bad operand type for abs(): '%s'", typeName(v))
	case !isInt:
		return math.Abs(f), nil
	case i == math.MinInt64:
		return nil, errTooLarge()
	}
	return max(i, -i), nil
}

// round is Jinja's round: to an even last digit with "common", away or towards zero with "ceil" and "floor".
func round(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("round", args, kw, "precision", "method")
	if err != nil {
		return nil, err
	}
	precision, err := a.int(0, 0)
	if err != nil {
		return nil, err
	}
	method, err := a.str(1, plain("common"))
	if err != nil {
		return nil, err
	}
	i, f, isInt, ok := number(v)
	if !ok {
		return nil, fault("type %s doesn't define __round__ method", typeName(v))
	}
	if precision < -300 || precision > 300 {
		return nil, fault("round: the precision must be between -300 and 300")
	}
	scale := math.Pow(10, float64(precision))
	switch method.s {
	case "common":
		if isInt && precision >= 0 {
			return i, nil
		}
		if precision >= 0 {
			f, err = strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(precision), 64), 64)
		} else {
			f = math.RoundToEven(f*scale) / scale
		}
		if isInt {
			return floatToInt(f, int64(0)), nil
		}
		return f, err
	case "ceil":
		return math.Ceil(f*scale) / scale, nil
	case "floor":
		return math.Floor(f*scale) / scale, nil
	}
	return nil, fault("method must be common, ceil or floor")
}

func fileSize(r *run, v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("filesizeformat", args, kw, "binary")
	if err != nil {
		return nil, err
	}
	x, err := toFloat(r, v, nil, nil)
	if err != nil {
		return nil, err
	}
	bytes := x.(float64)
	base, units := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if truth(a.or(0, false)) {
		base, units = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case bytes == 1:
		return plain("1 Byte"), nil
	case bytes < base:
		return plain(strconv.FormatFloat(math.Trunc(bytes), 'f', 0, 64) + " Bytes"), nil
	}
	unit := base
	for i, name := range units {
		unit *= base
		if bytes < unit || i == len(units)-1 {
			return plain(strconv.FormatFloat(base*bytes/unit, 'f', 1, 64) + " " + name), nil
		}
	}
	return nil, fault("filesizeformat: %v is no size", bytes)
}

const upperHex = "0123456789ABCDEF"

// quoteURL is urllib's quote; "/" stays as it is except in queries.
func quoteURL(s *Str, query bool) *Str {
	return s.mapRunes(func(_ int, c rune) string {
		switch {
		case c < 0x80 && (isDigit(byte(c)) || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.ContainsRune("_.-~", c)), c == '/' && !query:
			return string(c)
		case c == ' ' && query:
			return "+"
		}
		out := ""
		for _, b := range []byte(string(c)) {
			out += "%" + string(upperHex[b>>4]) + string(upperHex[b&15])
		}
		return out
	})
}

func (r *run) urlencode(v Value) (Value, error) {
	var items []Value
	switch v := v.(type) {
	case *Dict:
		items = pairs(v)
	case *List, *tuple, *view:
		items, _ = sequence(v)
	default:
		s, err := r.str(v)
		if err == nil {
			err = r.spend(3 * len(s.s))
		}
		if err != nil {
			return nil, err
		}
		return quoteURL(s, false), nil
	}
	var parts []*Str
	for _, it := range items {
		pair, err := r.iterate(it)
		if err != nil {
			return nil, err
		}
		if len(pair) != 2 {
			return nil, fault("urlencode takes pairs, got %d values", len(pair))
		}
		k, err := r.str(pair[0])
		if err != nil {
			return nil, err
		}
		w, err := r.str(pair[1])
		if err == nil {
			err = r.spend(3*(len(k.s)+len(w.s)) + 64)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, concat(concat(quoteURL(k, true), plain("=")), quoteURL(w, true)))
	}
	return r.join(plain("&"), parts)
}
