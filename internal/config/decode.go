package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// problems gathers complaints while settings are laid over a Config.
type problems struct {
	file   string
	origin string         // where the settings come from, if not from the file
	lines  map[string]int // of the file's keys, by dotted path
	list   []string
	marked []string // keys that have a complaint, or that were meant by a misspelt one
}

// known says whether there is a complaint already about a key, the section it is in or the source it belongs to.
func (p *problems) known(key string) bool {
	return slices.ContainsFunc(p.marked, func(m string) bool {
		rest, ok := strings.CutPrefix(key, m)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// mostProblems are listed: more than a person mends at a time, and a hostile file has a hundred thousand.
const mostProblems = 50

func (p *problems) add(key, what string) {
	if p.full() {
		return
	}
	p.marked = append(p.marked, key)
	where := p.origin
	if p.lines != nil {
		where = p.file + ": "
		if n := p.lines[key]; n > 0 {
			where = fmt.Sprintf("%s:%d: ", p.file, n)
		}
	}
	p.list = append(p.list, where+shown(key)+" "+shown(what))
	if p.full() {
		p.list = append(p.list, "and there is more; mend these first")
	}
}

func (p *problems) full() bool { return len(p.list) >= mostProblems }

// shown is a text of the file as a line of a terminal: what would move its cursor is written as Go does, and of a long one the
// middle is left out. What to do stands at the end.
func shown(s string) string {
	const most = 1000
	if len(s) > most {
		s = s[:most*3/4] + " ... " + s[len(s)-most/4:]
	}
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// need adds a complaint about a key that has none yet, unless ok.
func (p *problems) need(ok bool, key, format string, a ...any) {
	if !ok && !p.known(key) {
		p.add(key, fmt.Sprintf(format, a...))
	}
}

// decode lays settings over the struct dst. Unknown keys and values of another type are complaints; the rest is still read.
func (p *problems) decode(settings map[string]any, dst reflect.Value, prefix string) {
	fields := fieldsOf(dst.Type())
	keys := make([]string, 0, len(settings))
	for k := range settings {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := p.lines[prefix+keys[i]], p.lines[prefix+keys[j]]
		if a != b {
			return a < b
		}
		return keys[i] < keys[j]
	})
	for _, k := range keys {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == k })
		if i < 0 {
			p.unknown(prefix, k, fields)
			continue
		}
		p.value(settings[k], fields[i], dst.Field(fields[i].index), prefix+k)
	}
}

// unknown names the nearest key of the same section, or of any other section that has the very key.
func (p *problems) unknown(prefix, key string, fields []field) {
	if p.full() {
		return
	}
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	meant := ""
	if n := nearest(key, known); n != "" {
		meant = prefix + n
	}
	leaves(reflect.TypeOf(Config{}), "", func(path string, f field) {
		if f.key == key {
			meant = path
		}
	})
	dotted := strings.Contains(key, ".")
	if dotted {
		var all []string
		leaves(reflect.TypeOf(Config{}), "", func(path string, _ field) { all = append(all, path) })
		meant = nearest(prefix+key, all)
	}
	hint := "; known here: " + strings.Join(known, ", ")
	if meant != "" {
		shown := meant
		if dotted { // train.epochs is train: {epochs: ...}
			shown = strings.ReplaceAll(meant, ".", ": {") + ": ..." + strings.Repeat("}", strings.Count(meant, "."))
		}
		hint = "; did you mean " + shown + "?"
		p.marked = append(p.marked, meant) // that it is missing, or still its default, is no news
	}
	p.add(prefix+key, "is not a key of the run file"+hint)
}

// nearest is the known key closest to the one written, or "" where none is close.
func nearest(key string, known []string) string {
	best, distance := "", len(key)/2+2
	for _, k := range known {
		if d := levenshtein.ComputeDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

func (p *problems) value(v any, f field, dst reflect.Value, path string) {
	if v == nil {
		p.add(path, "is empty; remove it or give it a value")
		return
	}
	switch f.typ.Kind() {
	case reflect.Struct:
		m, ok := section(v)
		if !ok {
			p.add(path, fmt.Sprintf("is %s; it must be a section of keys", describe(v)))
			return
		}
		p.decode(m, dst, path+".")
	case reflect.Slice:
		if f.typ.Elem().Kind() == reflect.String {
			p.strings(v, dst, path)
		} else {
			p.sources(v, dst, path)
		}
	case reflect.Map:
		p.free(v, dst, path)
	case reflect.String:
		s, ok := v.(string)
		if !ok {
			p.add(path, fmt.Sprintf("is %s; it must be text", describe(v)))
			return
		}
		if f.enum != nil && !slices.Contains(f.enum, s) {
			p.add(path, fmt.Sprintf("is %q; it must be one of %s", s, strings.Join(f.enum, ", ")))
			return
		}
		dst.SetString(s)
	case reflect.Bool:
		b, ok := v.(bool)
		if !ok {
			p.add(path, fmt.Sprintf("is %s; it must be true or false", describe(v)))
			return
		}
		dst.SetBool(b)
	case reflect.Int:
		if s, ok := v.(string); ok && f.auto && s == "auto" {
			dst.SetInt(0)
			return
		}
		x, ok := toFloat(v)
		if !ok || x != math.Trunc(x) || math.Abs(x) > maxInt {
			p.add(path, fmt.Sprintf("is %s; it must be a whole number%s", describe(v), map[bool]string{true: " or auto"}[f.auto]))
			return
		}
		dst.SetInt(int64(x))
	case reflect.Float64:
		x, ok := toFloat(v)
		if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
			p.add(path, fmt.Sprintf("is %s; it must be a number", describe(v)))
			return
		}
		dst.SetFloat(x)
	}
}

func (p *problems) strings(v any, dst reflect.Value, path string) {
	if s, ok := v.(string); ok {
		dst.Set(reflect.ValueOf([]string{s}))
		return
	}
	list, ok := v.([]any)
	if !ok {
		p.add(path, fmt.Sprintf("is %s; it must be text or a list of texts", describe(v)))
		return
	}
	out := make([]string, 0, len(list))
	for i, item := range list {
		s, ok := item.(string)
		if !ok {
			p.add(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("is %s; it must be text", describe(item)))
			continue
		}
		out = append(out, s)
	}
	dst.Set(reflect.ValueOf(out))
}

// sources reads a list of {path: ...}; a bare path, or one source without the list, is taken as what it plainly means.
func (p *problems) sources(v any, dst reflect.Value, path string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []Source
	for i, item := range list {
		s, key := defaultSource(), fmt.Sprintf("%s[%d]", path, i)
		if m, ok := section(item); ok {
			p.decode(m, reflect.ValueOf(&s).Elem(), key+".")
		} else if s.Path, ok = item.(string); !ok {
			p.add(key, fmt.Sprintf("is %s; it must be a path or {path: rows.jsonl}", describe(item)))
		}
		out = append(out, s)
	}
	dst.Set(reflect.ValueOf(out))
}

// section is v as keys and values. In YAML a key need not be text: 1 and null are read as what they look like.
func section(v any) (map[string]any, bool) {
	switch m := v.(type) {
	case map[string]any:
		return m, true
	case map[any]any:
		texts := make(map[string]any, len(m))
		for k, item := range m {
			texts[fmt.Sprint(k)] = item
		}
		return texts, true
	}
	return nil, false
}

// maxInt is the largest whole number of a run file: a float64, which is what JSON has, holds all up to it.
const maxInt = 1 << 53

func toFloat(v any) (float64, bool) {
	r := reflect.ValueOf(v)
	switch {
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	}
	return 0, false
}

func describe(v any) string {
	switch x := v.(type) {
	case nil:
		return "empty"
	case string:
		if len(x) > 60 {
			x = x[:60] + "..."
		}
		return fmt.Sprintf("the text %q", x)
	case map[string]any, map[any]any:
		return "a section"
	case []any:
		return "a list"
	}
	return fmt.Sprintf("%v", v)
}
