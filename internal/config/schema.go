package config

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Schema is the run file's JSON Schema (draft 2020-12), for editors.
func Schema() []byte {
	d := Default()
	s := objectSchema(reflect.TypeOf(d), reflect.ValueOf(d))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "attune run file"
	s["required"] = []string{"model", "data", "run_dir"}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("config: schema: %v", err)) // the struct holds nothing JSON cannot say
	}
	return append(b, '\n')
}

func objectSchema(t reflect.Type, def reflect.Value) map[string]any {
	props := map[string]any{}
	for _, f := range fieldsOf(t) {
		props[f.key] = fieldSchema(f, def.Field(f.index))
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": props}
}

func fieldSchema(f field, def reflect.Value) map[string]any {
	s := map[string]any{}
	switch f.typ.Kind() {
	case reflect.Struct:
		return objectSchema(f.typ, def)
	case reflect.Slice:
		if f.typ.Elem() == reflect.TypeOf("") {
			s["oneOf"] = []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}
		} else {
			item := objectSchema(f.typ.Elem(), reflect.ValueOf(defaultSource()))
			item["required"] = []string{"path"}
			s["type"], s["items"] = "array", item
		}
	case reflect.String:
		s["type"] = "string"
		if f.enum != nil {
			s["enum"] = f.enum
		}
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Int:
		s["type"] = "integer"
		if f.auto {
			delete(s, "type")
			s["oneOf"] = []any{map[string]any{"type": "integer"}, map[string]any{"const": "auto"}}
		}
	case reflect.Float64:
		s["type"] = "number"
	}
	if f.doc != "" {
		s["description"] = f.doc
	}
	if !def.IsZero() {
		s["default"] = def.Interface()
	}
	return s
}
