package config

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kwargs reads the template_kwargs that a flag was given, as YAML or JSON; the error is an *Error that names the flag.
func Kwargs(flag, text string) (map[string]any, error) {
	var m map[string]any
	p := &problems{origin: "--"}
	p.free(text, reflect.ValueOf(&m).Elem(), flag)
	if len(p.list) > 0 {
		return nil, &Error{Problems: p.list}
	}
	return m, nil
}

// Flow writes template_kwargs in one line, so that Kwargs reads the same.
func Flow(kwargs map[string]any) string { return flow(kwargs) }

// maxNesting bounds the sections and lists within template_kwargs.
const maxNesting = 16

// free lays a section of any keys over dst. On the command line and in a variable it may stand as YAML or JSON.
func (p *problems) free(v any, dst reflect.Value, path string) {
	if s, ok := v.(string); ok {
		var parsed any
		if yaml.Unmarshal([]byte(s), &parsed) == nil {
			v = parsed
		}
	}
	m, ok := section(v)
	if !ok {
		p.add(path, fmt.Sprintf("is %s; it must be a section of keys", describe(v)))
		return
	}
	out, _ := dst.Interface().(map[string]any)
	out = maps.Clone(out) // copies of the Config share it
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if out == nil {
			out = map[string]any{}
		}
		out[k] = p.plain(m[k], path+"."+k, maxNesting)
	}
	dst.Set(reflect.ValueOf(out))
}

// plain is a value in the types that JSON has, whole numbers apart.
func (p *problems) plain(v any, path string, depth int) any {
	if m, ok := section(v); ok && depth > 0 {
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			out[k] = p.plain(m[k], path+"."+k, depth-1)
		}
		return out
	}
	switch x := v.(type) {
	case nil, bool, string:
		return x
	case []any:
		if depth > 0 {
			out := make([]any, len(x))
			for i, item := range x {
				out[i] = p.plain(item, fmt.Sprintf("%s[%d]", path, i), depth-1)
			}
			return out
		}
	}
	r := reflect.ValueOf(v)
	switch x, _ := toFloat(v); {
	case (r.CanInt() || r.CanUint()) && math.Abs(x) <= maxInt:
		return int64(x)
	case r.CanFloat() && !math.IsNaN(x) && !math.IsInf(x, 0):
		return x
	}
	p.add(path, fmt.Sprintf("is %s; it must be text (a date in quotes), a number of at most 2^53, true, false, or a list or section of these", describe(v)))
	return nil
}

// flow writes a value of template_kwargs so that YAML reads the same.
func flow(v any) string {
	var items []string
	switch x := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(x)
	case string:
		return quote(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		s := number(x)
		if !strings.ContainsAny(s, ".e") {
			s += ".0" // a template writes 2.0 and 2 differently
		}
		return s
	case []any:
		for _, item := range x {
			items = append(items, flow(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			items = append(items, quote(k)+": "+flow(x[k]))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	panic(fmt.Sprintf("config: template_kwargs holds a %T", v)) // plain makes no other
}
