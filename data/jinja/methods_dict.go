package jinja

type dictMethod func(r *run, d *Dict, args []Value, kw *Dict) (Value, error)

// dictMethods are the methods of Python's dict that change nothing.
func dictMethods() map[string]dictMethod {
	return map[string]dictMethod{
		"items": func(r *run, d *Dict, _ []Value, _ *Dict) (Value, error) {
			v := &view{kind: "dict_items", items: pairs(d)}
			return v, r.spend(64 * len(d.keys))
		},
		"keys":   func(_ *run, d *Dict, _ []Value, _ *Dict) (Value, error) { return &view{"dict_keys", d.keys}, nil },
		"values": func(_ *run, d *Dict, _ []Value, _ *Dict) (Value, error) { return &view{"dict_values", d.vals}, nil },
		"copy":   func(_ *run, d *Dict, _ []Value, _ *Dict) (Value, error) { return d, nil },
		"get": func(_ *run, d *Dict, args []Value, kw *Dict) (Value, error) {
			a, err := bind("get", args, kw, "key", "default")
			if err != nil {
				return nil, err
			}
			if _, ok := hashable(a.or(0, nil)); !ok {
				return nil, fault("unhashable type: '%s'", typeName(a.vals[0]))
			}
			if v, ok := d.get(a.or(0, nil)); ok {
				return v, nil
			}
			return a.or(1, nil), nil
		},
	}
}

func pairs(d *Dict) []Value {
	out := make([]Value, len(d.keys))
	for i, k := range d.keys {
		out[i] = &tuple{[]Value{k, d.vals[i]}}
	}
	return out
}
