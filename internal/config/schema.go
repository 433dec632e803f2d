package config

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Schema is the run file's JSON Schema (draft 2020-12), for editors. It says what Load holds one key to; what several keys
// or the disk say together is Load's alone.
func Schema() []byte {
	s := objectSchema(reflect.ValueOf(Default()))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "attune run file"
	s["$defs"] = map[string]any{"source": map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "minLength": 1}, objectSchema(reflect.ValueOf(defaultSource()))}}}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("config: schema: %v", err)) // the struct holds nothing JSON cannot say
	}
	return append(b, '\n')
}

// objectSchema is the schema of a section, given its defaults: those that are empty and must not be are required.
func objectSchema(def reflect.Value) map[string]any {
	props, required := map[string]any{}, []string{}
	for _, f := range fieldsOf(def.Type()) {
		v := def.Field(f.index)
		s := fieldSchema(f, v)
		props[f.key] = s
		if f.need != "" && v.IsZero() || s["required"] != nil {
			required = append(required, f.key)
		}
	}
	o := map[string]any{"type": "object", "additionalProperties": false, "properties": props}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func fieldSchema(f field, def reflect.Value) map[string]any {
	s := map[string]any{}
	switch f.typ.Kind() {
	case reflect.Struct:
		s = objectSchema(def)
	case reflect.Slice:
		one := map[string]any{"type": "string"}
		if f.typ.Elem().Kind() == reflect.Struct {
			one = map[string]any{"$ref": "#/$defs/source"}
		}
		list := map[string]any{"type": "array", "items": one}
		if f.need != "" {
			list["minItems"] = 1
		}
		s["anyOf"] = []any{one, list}
	case reflect.String:
		s["type"] = "string"
		if f.enum != nil {
			s["enum"] = f.enum
		}
		if f.need != "" {
			s["minLength"] = 1
		}
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Map:
		s["type"] = "object"
	default:
		s = f.numberSchema()
	}
	s["description"] = f.doc
	switch {
	case f.auto && def.IsZero():
		s["default"] = "auto"
	case f.typ.Kind() != reflect.Struct && !def.IsZero():
		s["default"] = def.Interface()
	}
	return s
}

func (f field) numberSchema() map[string]any {
	s := map[string]any{"type": "number"}
	if f.typ.Kind() == reflect.Int {
		s["type"], s["maximum"] = "integer", maxInt
	}
	for _, l := range f.limits {
		s[l.keyword] = l.bound
	}
	if f.auto {
		return map[string]any{"anyOf": []any{s, map[string]any{"enum": []any{"auto", 0}}}}
	}
	return s
}
