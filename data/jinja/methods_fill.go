package jinja

import "strings"

// pad fills a string to a width; left is how many of n fill characters go before it.
func pad(name string, left func(n, width int64) int64) strMethod {
	return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "width", "fillchar")
		if err != nil {
			return nil, err
		}
		width, err := a.int(0, 0)
		if err != nil {
			return nil, err
		}
		fill, err := a.str(1, plain(" "))
		if err != nil {
			return nil, err
		}
		if fill.runes() != 1 {
			return nil, fault("the fill character must be exactly one character long")
		}
		n := width - int64(s.runes())
		if n <= 0 {
			return s, nil
		}
		all, err := r.padding(fill, n)
		if err != nil {
			return nil, err
		}
		i := runeOffset(all.s, int(left(n, width)))
		return concat(concat(all.sub(0, i), s), all.sub(i, len(all.s))), nil
	}
}

// padding is fill n times.
func (r *run) padding(fill *Str, n int64) (*Str, error) {
	v, _, err := r.times(fill, max(n, 0))
	if err != nil {
		return nil, err
	}
	return v.(*Str), nil
}

// zfill is str.zfill: zeros between the sign and the rest.
func zfill(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
	a, err := bind("zfill", args, kw, "width")
	if err != nil {
		return nil, err
	}
	n, err := a.int(0, 0)
	if err != nil {
		return nil, err
	}
	sign := 0
	if s.s != "" && (s.s[0] == '+' || s.s[0] == '-') {
		sign = 1
	}
	zeros, err := r.padding(plain("0"), n-int64(s.runes()))
	if err != nil {
		return nil, err
	}
	return concat(concat(s.sub(0, sign), zeros), s.sub(sign, len(s.s))), nil
}

// expandTabs is str.expandtabs; a tab is at most 1000 columns wide.
func expandTabs(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
	a, err := bind("expandtabs", args, kw, "tabsize")
	if err != nil {
		return nil, err
	}
	size, err := a.int(0, 8)
	if err != nil {
		return nil, err
	}
	size = min(max(size, 0), 1000)
	if err := r.spend(len(s.s) + strings.Count(s.s, "\t")*int(size)); err != nil {
		return nil, err
	}
	col := int64(0)
	return s.mapRunes(func(_ int, c rune) string {
		switch {
		case c == '\t' && size == 0:
			return ""
		case c == '\t':
			n := size - col%size
			col += n
			return strings.Repeat(" ", int(n))
		case c == '\n' || c == '\r':
			col = -1
		}
		col++
		return string(c)
	}), nil
}
