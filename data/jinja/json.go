package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// maxJSONDepth bounds the nesting of JSON that comes from a row.
const maxJSONDepth = 200

// FromJSON reads a JSON value. Dicts keep the order of their keys, integers stay integers, and all strings, keys too,
// come from origin (nil = of no known origin).
func FromJSON(raw []byte, origin *Origin) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decode(d, origin, 0)
	if err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("read JSON: more than one value")
	}
	return v, nil
}

func decode(d *json.Decoder, origin *Origin, depth int) (Value, error) {
	t, err := d.Token()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch t := t.(type) {
	case string:
		return NewStr(t, origin), nil
	case json.Number:
		return fromNumber(t), nil
	case json.Delim:
		if depth >= maxJSONDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", maxJSONDepth)
		}
		if t == '[' {
			l := &List{}
			for d.More() {
				v, err := decode(d, origin, depth+1)
				if err != nil {
					return nil, err
				}
				l.items = append(l.items, v)
			}
			_, err := d.Token()
			return l, err
		}
		dict := NewDict()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, origin, depth+1)
			if err != nil {
				return nil, err
			}
			dict.put(NewStr(k.(string), origin), v)
		}
		_, err := d.Token()
		return dict, err
	}
	return t, nil // nil and bool
}

func fromNumber(n json.Number) Value {
	if !strings.ContainsAny(n.String(), ".eE") {
		if i, err := n.Int64(); err == nil {
			return i
		}
		return n
	}
	f, _ := n.Float64() // out of range gives an infinity, as Python's json does
	return f
}

// FromGo turns a Go value into one of the language: nil, bool, integers, floats, string, json.RawMessage, json.Number,
// []any, []string, map[string]any (keys sorted), or what is one already.
func FromGo(v any) (Value, error) {
	switch v := v.(type) {
	case nil, bool, int64, float64, *Str, *List, *Dict, *tuple:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case float32:
		return float64(v), nil
	case string:
		return plain(v), nil
	case json.Number:
		return fromNumber(v), nil
	case json.RawMessage:
		return FromJSON(v, nil)
	case []string:
		l := &List{}
		for _, s := range v {
			l.items = append(l.items, plain(s))
		}
		return l, nil
	case []any:
		l := &List{}
		for _, it := range v {
			x, err := FromGo(it)
			if err != nil {
				return nil, err
			}
			l.items = append(l.items, x)
		}
		return l, nil
	case map[string]any:
		names := make([]string, 0, len(v))
		for k := range v {
			names = append(names, k)
		}
		sort.Strings(names)
		d := NewDict()
		for _, k := range names {
			x, err := FromGo(v[k])
			if err != nil {
				return nil, err
			}
			d.Set(k, x)
		}
		return d, nil
	}
	return nil, fault("a variable of type %T cannot be given to a template", v)
}

// jsonWriter is Python's json.dumps.
type jsonWriter struct {
	printer
	ascii, sorted bool
	indent        string // of one level
	pretty        bool
	comma, colon  string
}

func (w *jsonWriter) newline(level int) {
	if w.pretty {
		w.out.plain("\n")
		for range level {
			w.out.plain(w.indent)
		}
	}
}

func (w *jsonWriter) value(v Value, level int) error {
	if err := w.r.spend(8 + level*len(w.indent) + len(w.comma) + len(w.colon)); err != nil {
		return err
	}
	if text, ok := jsonScalar(v); ok {
		w.out.plain(text)
		return nil
	}
	switch v := v.(type) {
	case *Str:
		return w.string(v)
	case *List:
		return w.array(v.items, level)
	case *tuple:
		return w.array(v.items, level)
	case *Dict:
		return w.object(v, level)
	default:
		return fault("Object of type %s is not JSON serializable", typeName(v))
	}
}

// jsonScalar writes what has no parts and no quotes.
func jsonScalar(v Value) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "null", true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return floatText(v, "Infinity", "NaN"), true
	case int64, json.Number:
		return repr(v), true
	}
	return "", false
}

func (w *jsonWriter) array(items []Value, level int) error {
	if len(items) == 0 {
		w.out.plain("[]")
		return nil
	}
	w.out.plain("[")
	for i, it := range items {
		if i > 0 {
			w.out.plain(w.comma)
		}
		w.newline(level + 1)
		if err := w.value(it, level+1); err != nil {
			return err
		}
	}
	w.newline(level)
	w.out.plain("]")
	return nil
}

func (w *jsonWriter) object(d *Dict, level int) error {
	if len(d.keys) == 0 {
		w.out.plain("{}")
		return nil
	}
	at := make([]int, len(d.keys))
	for i := range at {
		at[i] = i
	}
	if w.sorted {
		var bad error
		sort.SliceStable(at, func(i, j int) bool {
			c, _, err := order("<", d.keys[at[i]], d.keys[at[j]])
			if err != nil {
				bad = err
			}
			return c < 0
		})
		if bad != nil {
			return bad
		}
	}
	w.out.plain("{")
	for n, i := range at {
		if n > 0 {
			w.out.plain(w.comma)
		}
		w.newline(level + 1)
		if k, ok := d.keys[i].(*Str); ok {
			if err := w.string(k); err != nil {
				return err
			}
		} else if text, ok := jsonScalar(d.keys[i]); ok {
			w.out.plain(`"` + text + `"`)
		} else {
			return fault("keys must be str, int, float, bool or None, not %s", typeName(d.keys[i]))
		}
		w.out.plain(w.colon)
		if err := w.value(d.vals[i], level+1); err != nil {
			return err
		}
	}
	w.newline(level)
	w.out.plain("}")
	return nil
}

func (w *jsonWriter) string(s *Str) error {
	if err := w.r.spend(2 + len(s.s)); err != nil {
		return err
	}
	w.out.plain(`"`)
	if i := strings.IndexFunc(s.s, func(c rune) bool { return c < 0x20 || c == '"' || c == '\\' || c > 0x7e && w.ascii }); i < 0 {
		w.out.str(s)
	} else {
		w.out.str(s.mapRunes(w.escape))
	}
	w.out.plain(`"`)
	return nil
}

func (w *jsonWriter) escape(_ int, c rune) string {
	if short := shortEscape(c); short != "" {
		return short
	}
	switch {
	case c == '"':
		return `\"`
	case c == '\f':
		return `\f`
	case c == '\b':
		return `\b`
	case c < 0x20, w.ascii && c >= 0x7f && c <= 0xffff:
		return `\u` + hex(c, 4)
	case w.ascii && c > 0xffff:
		c -= 0x10000
		return `\u` + hex(0xd800+c>>10, 4) + `\u` + hex(0xdc00+c&0x3ff, 4)
	}
	return string(c)
}

// toJSON is the tojson filter.
func (r *run) toJSON(v Value, args []Value, kw *Dict) (Value, error) {
	a, err := bind("tojson", args, kw, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	if err := r.work(v); err != nil {
		return nil, err
	}
	w := &jsonWriter{printer: printer{r: r}, ascii: truth(a.or(0, false)), sorted: truth(a.or(3, false)), comma: ", ", colon: ": "}
	switch indent := a.or(1, nil).(type) {
	case nil:
	case int64:
		w.pretty, w.comma = true, ","
		w.indent = strings.Repeat(" ", int(min(max(indent, 0), 64)))
	case *Str:
		w.pretty, w.comma, w.indent = true, ",", indent.s
	default:
		return nil, fault("tojson: indent is an integer or a string, not %s", typeName(indent))
	}
	if sep, ok := sequence(a.or(2, nil)); ok {
		if len(sep) != 2 {
			return nil, fault("tojson: separators are two strings")
		}
		c, ok1 := sep[0].(*Str)
		k, ok2 := sep[1].(*Str)
		if !ok1 || !ok2 {
			return nil, fault("tojson: separators are two strings")
		}
		w.comma, w.colon = c.s, k.s
	}
	if err := w.value(v, 0); err != nil {
		return nil, err
	}
	return w.out.done(), nil
}
