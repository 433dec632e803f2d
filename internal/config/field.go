package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// field is one key of the run file, as the struct tags of Config describe it.
type field struct {
	key, doc string
	enum     []string
	need     string // what is said where it is empty; "" = it may be
	auto     bool   // the word auto stands for 0
	limits   []limit
	index    int
	typ      reflect.Type
}

// fieldsOf lists a section's keys in the order of the struct.
func fieldsOf(t reflect.Type) []field {
	fs := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		f := field{key: tag.Get("key"), doc: tag.Get("doc"), need: tag.Get("need"), limits: limitsOf(tag), index: i, typ: t.Field(i).Type}
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

// values calls visit with every key that is not a section, and what c has there; a source's keys follow its list.
func values(v reflect.Value, prefix string, visit func(path string, f field, v reflect.Value)) {
	for _, f := range fieldsOf(v.Type()) {
		path, fv := prefix+f.key, v.Field(f.index)
		if f.typ.Kind() == reflect.Struct {
			values(fv, path+".", visit)
			continue
		}
		visit(path, f, fv)
		if sources, ok := fv.Interface().([]Source); ok {
			for i := range sources {
				values(fv.Index(i), fmt.Sprintf("%s[%d].", path, i), visit)
			}
		}
	}
}

// limit is one side of what a number may be, by a tag as in min:"1".
type limit struct {
	tag, keyword, words string // of the struct, of JSON Schema, of a complaint
	text                string // the number as the tag has it
	bound               float64
	holds               func(x, bound float64) bool
}

func limitsOf(tag reflect.StructTag) []limit {
	var ls []limit
	for _, l := range []limit{
		{tag: "min", keyword: "minimum", words: "at least", holds: func(x, bound float64) bool { return x >= bound }},
		{tag: "over", keyword: "exclusiveMinimum", words: "over", holds: func(x, bound float64) bool { return x > bound }},
		{tag: "max", keyword: "maximum", words: "at most", holds: func(x, bound float64) bool { return x <= bound }},
		{tag: "below", keyword: "exclusiveMaximum", words: "below", holds: func(x, bound float64) bool { return x < bound }},
	} {
		var err error
		if l.text = tag.Get(l.tag); l.text == "" {
			continue
		}
		if l.bound, err = strconv.ParseFloat(l.text, 64); err != nil {
			panic(fmt.Sprintf("config: tag %s: %v", l.tag, err)) // the tags are constants
		}
		ls = append(ls, l)
	}
	return ls
}

// exceeded says what x must be, or "" if it is.
func (f field) exceeded(x float64) string {
	if f.auto && x == 0 {
		return ""
	}
	var words []string
	wrong := false
	for _, l := range f.limits {
		words = append(words, l.words+" "+l.text)
		wrong = wrong || !l.holds(x, l.bound)
	}
	if !wrong {
		return ""
	}
	must := strings.Join(words, " and ")
	if f.auto {
		must = "auto or " + must
	}
	return "it must be " + must
}
