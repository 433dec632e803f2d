package jinja

import "math"

// slice is obj[start:stop:step].
func (r *run) slice(obj Value, e *sliceExpr, s *scope) (Value, error) {
	step, given, err := r.sliceBound(e.step, s)
	if err != nil {
		return nil, err
	}
	if !given {
		step = 1
	}
	if step == 0 {
		return nil, fault("slice step cannot be zero")
	}
	var n int
	text, isText := obj.(*Str)
	items, isSeq := sequence(obj)
	_, isView := obj.(*view)
	switch {
	case isText:
		if err := r.read(text); err != nil {
			return nil, err
		}
		n = text.runes()
	case isSeq && !isView:
		n = len(items)
	default:
		if u, ok := obj.(*undefined); ok {
			return nil, u.complain()
		}
		return &undefined{objectName(obj) + " cannot be sliced"}, nil
	}
	start, okStart, err := r.sliceBound(e.start, s)
	if err != nil {
		return nil, err
	}
	stop, okStop, err := r.sliceBound(e.stop, s)
	if err != nil {
		return nil, err
	}
	first, last := int64(0), int64(n) // where a slice begins and ends that does not say
	if step < 0 {
		first, last = int64(n)-1, -1
	}
	clamp := func(v int64) int64 { // negative bounds count from the end, those outside are taken for the nearest end
		if v < 0 {
			v += int64(n)
		}
		return min(max(v, min(first, last)), max(first, last))
	}
	if start = clamp(start); !okStart {
		start = first
	}
	if stop = clamp(stop); !okStop {
		stop = last
	}
	if isText && step == 1 {
		if start >= stop {
			return plain(""), nil
		}
		i := runeOffset(text.s, int(start))
		return text.sub(i, i+runeOffset(text.s[i:], int(stop-start))), nil
	}
	if isText {
		if items, err = r.iterate(text); err != nil {
			return nil, err
		}
	}
	return r.pick(obj, items, start, stop, step)
}

// sliceBound evaluates one of start, stop and step; none and what is not written are not given.
func (r *run) sliceBound(x expr, s *scope) (n int64, given bool, err error) {
	if x == nil {
		return 0, false, nil
	}
	v, err := r.eval(x, s)
	if err != nil || v == nil {
		return 0, false, err
	}
	n, _, isInt, ok := number(v)
	if !ok || !isInt {
		return 0, false, fault("slice indices must be integers or None, not %s", typeName(v))
	}
	return n, true, nil
}

// pick is every step-th of items from start up to, or down to, stop, as a value of obj's type.
func (r *run) pick(obj Value, items []Value, start, stop, step int64) (Value, error) {
	step = min(max(step, -math.MaxInt32), math.MaxInt32)
	var picked []Value
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		picked = append(picked, items[i])
	}
	if err := r.spend(16 * len(picked)); err != nil {
		return nil, err
	}
	switch obj.(type) {
	case *Str:
		var b builder
		for _, c := range picked {
			b.str(c.(*Str))
		}
		return b.done(), nil
	case *tuple:
		return &tuple{picked}, nil
	}
	return &List{picked}, nil
}
