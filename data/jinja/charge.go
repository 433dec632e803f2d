package jinja

import "slices"

// charge makes every builtin count the strings it is given before it looks at them. Those that are unread look at no more of
// what they stand behind than its type, its length or its ends.
func (l *lang) charge() {
	for name, f := range l.filters {
		whole := !unread("filter", name)
		l.filters[name] = func(r *run, v Value, args []Value, kw *Dict) (Value, error) {
			if err := r.readCall(v, whole, args, kw); err != nil {
				return nil, err
			}
			return f(r, v, args, kw)
		}
	}
	for name, f := range l.tests {
		whole := !unread("test", name)
		l.tests[name] = func(r *run, v Value, args []Value) (bool, error) {
			if err := r.readCall(v, whole, args, nil); err != nil {
				return false, err
			}
			return f(r, v, args)
		}
	}
	for name, f := range l.strMethods {
		whole := !unread("method", name)
		l.strMethods[name] = func(r *run, s *Str, args []Value, kw *Dict) (Value, error) {
			if err := r.readCall(s, whole, args, kw); err != nil {
				return nil, err
			}
			return f(r, s, args, kw)
		}
	}
	for name, f := range l.dictMethods {
		l.dictMethods[name] = func(r *run, d *Dict, args []Value, kw *Dict) (Value, error) {
			if err := r.readAll(args, kw); err != nil {
				return nil, err
			}
			return f(r, d, args, kw)
		}
	}
	for name, call := range globals() {
		l.globals[name] = &function{name, func(r *run, args []Value, kw *Dict) (Value, error) {
			if err := r.readAll(args, kw); err != nil {
				return nil, err
			}
			return call(r, args, kw)
		}}
	}
}

// unread says so of a filter, a test or a method of strings.
func unread(kind, name string) bool {
	switch kind {
	case "filter":
		return slices.Contains([]string{"attr", "d", "default"}, name)
	case "test":
		return slices.Contains([]string{"boolean", "callable", "defined", "escaped", "false", "float", "integer", "iterable", "mapping",
			"none", "number", "sequence", "string", "true", "undefined"}, name)
	}
	return slices.Contains([]string{"endswith", "removeprefix", "removesuffix", "startswith"}, name)
}

func (r *run) readCall(v Value, whole bool, args []Value, kw *Dict) error {
	if whole {
		if err := r.read(v); err != nil {
			return err
		}
	}
	return r.readAll(args, kw)
}
