package jinja

type listMethod func(r *run, seq Value, args []Value, kw *Dict) (Value, error)

// listMethods are the methods of Python's list and tuple that change nothing.
func listMethods() map[string]listMethod {
	return map[string]listMethod{
		"index": func(r *run, seq Value, args []Value, _ *Dict) (Value, error) {
			at, _, err := r.places("index", seq, args)
			if err == nil && at < 0 {
				err = fault("the value is not in the %s", typeName(seq))
			}
			return int64(at), err
		},
		"count": func(r *run, seq Value, args []Value, _ *Dict) (Value, error) {
			_, n, err := r.places("count", seq, args)
			return int64(n), err
		},
		"copy": func(_ *run, seq Value, _ []Value, _ *Dict) (Value, error) { return seq, nil },
	}
}

// places is where the one argument stands first in a list, -1 for nowhere, and how often it does.
func (r *run) places(name string, seq Value, args []Value) (first, n int, err error) {
	if len(args) != 1 {
		return 0, 0, fault("%s() takes one argument, got %d", name, len(args))
	}
	first = -1
	items, _ := sequence(seq)
	for i, it := range items {
		if err := r.work(it); err != nil {
			return 0, 0, err
		}
		if !equal(it, args[0]) {
			continue
		}
		if n++; n == 1 {
			first = i
		}
	}
	return first, n, nil
}
