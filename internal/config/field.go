package config

import (
	"reflect"
	"strings"
)

// field is one key of the run file, as the struct tags of Config describe it.
type field struct {
	key, doc string
	enum     []string
	auto     bool // the word auto stands for 0
	index    int
	typ      reflect.Type
}

// fieldsOf lists a section's keys in the order of the struct.
func fieldsOf(t reflect.Type) []field {
	fs := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		f := field{key: tag.Get("key"), doc: tag.Get("doc"), index: i, typ: t.Field(i).Type}
		if e := tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, "|")
		}
		_, f.auto = tag.Lookup("auto")
		fs = append(fs, f)
	}
	return fs
}

// leaves calls visit with the dotted path of every key that is not a section.
func leaves(t reflect.Type, prefix string, visit func(path string, f field)) {
	for _, f := range fieldsOf(t) {
		if f.typ.Kind() == reflect.Struct {
			leaves(f.typ, prefix+f.key+".", visit)
		} else {
			visit(prefix+f.key, f)
		}
	}
}
