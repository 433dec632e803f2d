package jinja

import "unicode/utf8"

// window reads the optional start and end (in characters) of startswith, find and their kind.
func (r *run) window(s *Str, a bound, i int) (from, to int, err error) {
	if a.or(i, nil) == nil && a.or(i+1, nil) == nil {
		return 0, len(s.s), nil
	}
	if err := r.read(s); err != nil {
		return 0, 0, err
	}
	n := int64(s.runes())
	edge := func(i int, def int64) (int64, error) {
		if a.or(i, nil) == nil {
			return def, nil
		}
		v, err := a.int(i, def)
		if v < 0 {
			v += n
		}
		return max(v, 0), err
	}
	lo, err := edge(i, 0)
	if err != nil {
		return 0, 0, err
	}
	hi, err := edge(i+1, n)
	if err != nil || lo > n || lo > hi {
		return -1, 0, err
	}
	return runeOffset(s.s, int(lo)), runeOffset(s.s, int(min(hi, n))), nil
}

func affix(name string, has func(s, affix string) bool) strMethod {
	return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "affix", "start", "end")
		if err != nil {
			return nil, err
		}
		from, to, err := r.window(s, a, 1)
		if err != nil {
			return nil, err
		}
		text := ""
		if from >= 0 {
			text = s.s[from:to]
		}
		if t, ok := a.or(0, nil).(*tuple); ok {
			for _, it := range t.items {
				x, ok := it.(*Str)
				if !ok {
					return nil, fault("tuple for %s must only contain str, not %s", name, typeName(it))
				}
				if err := r.step(); err != nil {
					return nil, err
				}
				if err := r.read(x); err != nil {
					return nil, err
				}
				if from >= 0 && has(text, x.s) {
					return true, nil
				}
			}
			return false, nil
		}
		x, err := a.str(0, nil)
		if err != nil {
			return nil, err
		}
		return from >= 0 && has(text, x.s), nil
	}
}

func removeAffix(name string, f func(s *Str, x string) *Str) strMethod {
	return func(_ *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "affix")
		if err != nil {
			return nil, err
		}
		x, err := a.str(0, nil)
		if err != nil {
			return nil, err
		}
		return f(s, x.s), nil
	}
}

func find(name string, index func(s, sub string) int, must bool) strMethod {
	return func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
		a, err := bind(name, args, kw, "sub", "start", "end")
		if err != nil {
			return nil, err
		}
		sub, err := a.str(0, nil)
		if err != nil {
			return nil, err
		}
		from, to, err := r.window(s, a, 1)
		if err != nil {
			return nil, err
		}
		if from >= 0 {
			if i := index(s.s[from:to], sub.s); i >= 0 {
				return int64(utf8.RuneCountInString(s.s[:from+i])), nil
			}
		}
		if must {
			return nil, fault("substring not found")
		}
		return int64(-1), nil
	}
}

// replace is str.replace with old, new and count bound.
func (r *run) replace(s *Str, a bound) (Value, error) {
	old, err := a.str(0, nil)
	if err != nil {
		return nil, err
	}
	with, err := a.str(1, nil)
	if err != nil {
		return nil, err
	}
	most := int64(-1)
	if a.or(2, nil) != nil {
		if most, err = a.int(2, -1); err != nil {
			return nil, err
		}
	}
	n := count(s.s, old.s)
	if err := r.spend(len(s.s) + n*(with.size()+8)); err != nil {
		return nil, err
	}
	return s.replace(old.s, with, int(max(most, -1))), nil
}
