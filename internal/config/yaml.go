package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// YAML writes the whole configuration as a run file; with comments it carries each key's documentation.
func (c Config) YAML(comments bool) []byte {
	return []byte(written(reflect.ValueOf(c), "", comments))
}

func writeSection(b *strings.Builder, v reflect.Value, indent string, comments bool) {
	for _, f := range fieldsOf(v.Type()) {
		fv := v.Field(f.index)
		sources, isSources := fv.Interface().([]Source)
		fmt.Fprintf(b, "%s%s:", indent, f.key)
		below := "" // what stands in the lines that follow
		switch {
		case f.typ.Kind() == reflect.Struct:
			below = written(fv, indent+"  ", comments)
		case isSources && comments && len(sources) > 0: // their keys have comments, too
			for i := range sources {
				item := indent + "    "
				below += indent + "  - " + strings.TrimPrefix(written(fv.Index(i), item, comments), item)
			}
		case isSources:
			b.WriteString(" " + flowSources(sources))
		default:
			b.WriteString(" " + scalar(f, fv))
		}
		if comments {
			b.WriteString("  # " + f.describe())
		}
		b.WriteString("\n" + below)
	}
}

// written is a section's text.
func written(v reflect.Value, indent string, comments bool) string {
	var b strings.Builder
	writeSection(&b, v, indent, comments)
	return b.String()
}

func (f field) describe() string {
	if f.enum == nil {
		return f.doc
	}
	return strings.Join(f.enum, " | ") + ": " + f.doc
}

func scalar(f field, v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Int:
		if f.auto && v.Int() == 0 {
			return "auto"
		}
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return number(v.Float())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Map:
		return flow(v.Interface())
	}
	list := v.Interface().([]string)
	if len(list) == 1 {
		return quote(list[0])
	}
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// number writes a float so that YAML 1.1 and 1.2 readers both take it for one (1e-05 has no dot; YAML 1.1 reads a string).
func number(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if mantissa, exponent, ok := strings.Cut(s, "e"); ok && !strings.Contains(mantissa, ".") {
		s = mantissa + ".0e" + exponent
	}
	return s
}

// quote leaves plain words alone and writes everything else in double quotes; Go's escapes are YAML's. A word is plain if
// this YAML reads the very text (0x10 is a number, 2024-11-21 a date) and no other version takes it for something else.
func quote(s string) string {
	plain := s != "" && !strings.HasPrefix(s, "-") && yamlValue(s) == any(s)
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("/._-", r) || r >= '0' && r <= '9') {
			plain = false
		}
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n", ".":
		plain = false
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		plain = false
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

func flowSources(list []Source) string {
	items := make([]string, len(list))
	for i, s := range list {
		items[i] = fmt.Sprintf("{path: %s, format: %s, weight: %s, repeat: %d}", quote(s.Path), s.Format, number(s.Weight), s.Repeat)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// Map is the configuration as nested keys and values, for JSON.
func (c Config) Map() map[string]any { return sectionMap(reflect.ValueOf(c)) }

func sectionMap(v reflect.Value) map[string]any {
	m := map[string]any{}
	for _, f := range fieldsOf(v.Type()) {
		fv := v.Field(f.index)
		switch {
		case f.typ.Kind() == reflect.Struct:
			m[f.key] = sectionMap(fv)
		case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct:
			list := make([]any, fv.Len())
			for i := range list {
				list[i] = sectionMap(fv.Index(i))
			}
			m[f.key] = list
		case f.auto && fv.IsZero():
			m[f.key] = "auto"
		case f.typ.Kind() == reflect.Map && fv.IsNil():
			m[f.key] = map[string]any{}
		default:
			m[f.key] = fv.Interface()
		}
	}
	return m
}
