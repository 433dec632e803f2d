package jinja

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// big are operands that take long to go through.
func big() map[string]any {
	const size = 1 << 20
	list, pairs, rows, dict := &List{}, &List{}, &List{}, NewDict()
	for i := range int64(maxRange) {
		k := plain(fmt.Sprint("key", i))
		list.items = append(list.items, i)
		pairs.items = append(pairs.items, &List{[]Value{k, i}})
		row := NewDict()
		row.Set("a", i%7)
		rows.items = append(rows.items, row)
		dict.put(k, i)
	}
	key := strings.Repeat("k", size)
	dict.Set(key, true)
	few := NewDict()
	few.Set(key, true)
	return map[string]any{
		"s": strings.Repeat("é", size/2), "s2": strings.Repeat("é", size/2), "w": strings.Repeat("a b\n", size/4), "n": strings.Repeat("1", size),
		"f": strings.Repeat("a", size) + "%d", "k": key, "l": list, "l2": &List{slices.Clone(list.items)}, "t": &tuple{list.items},
		"p": pairs, "r": rows, "d": dict, "few": few,
	}
}

// takes are what every builtin is tried with. Some of it must be what it takes.
var takes = []string{"", "s", "w", "k", "'a'", "1", "l", "p", "s, s2", "'a', 'b'", "'a', s", "'a', 1", "attribute='a'", "'upper'", "'odd'"}

// unlooked are the builtins that see of what they stand behind its type, its length or its ends.
var unlooked = map[string]string{
	"filter attr": texts + lists, "filter default": texts + lists, "filter d": texts + lists, "filter length": lists, "filter count": lists,
	"filter int": lists, "filter float": lists, "filter filesizeformat": lists,
	"method startswith": texts, "method endswith": texts, "method removeprefix": texts, "method removesuffix": texts,
	"method copy": lists, "method get": lists, "method keys": lists, "method values": lists,
	"global cycler": "-", "global joiner": "-", "test sameas": lists, "test filter": lists, "test test": lists,
}

const texts, lists = "swf", "lprd"

type probe struct {
	name, x, args string // the kind and the name, the operand
	src           string
}

// probes call every builtin of the language, and every operator and subscript that reads a whole value.
func probes() []probe {
	var all []probe
	add := func(kind string, names []string, operands, form string) {
		for _, name := range names {
			for _, x := range strings.Split(operands, "") {
				for _, args := range takes {
					list := args
					if kind == "test" && args != "" {
						list = ", " + args
					}
					all = append(all, probe{kind + " " + name, x, args, strings.NewReplacer("NAME", name, "X", x, "ARGS", list).Replace(form)})
				}
			}
		}
	}
	b := builtins()
	add("filter", slices.Sorted(maps.Keys(b.filters)), texts+lists, "X|NAME(ARGS)")
	add("test", slices.Sorted(maps.Keys(b.tests)), texts+lists, "[X]|select('NAME'ARGS)|list")
	add("method", slices.Sorted(maps.Keys(b.strMethods)), texts, "X.NAME(ARGS)")
	add("method", slices.Sorted(maps.Keys(b.listMethods)), "lpr", "X.NAME(ARGS)")
	add("method", slices.Sorted(maps.Keys(b.dictMethods)), "d", "X.NAME(ARGS)")
	add("global", slices.Sorted(maps.Keys(b.globals)), "-", "NAME(ARGS)")
	for _, src := range []string{"n|int", "n|float", "s[5]", "s[-1]", "s[5:]", "s[9:5]", "s[::-1]", "s[::9]", "l[::2]", "t[1:]", "d[k]", "few[k]", "few[s]", "k in d", "s[k]", "'b' in s", "1 in l", "-1 in d.values()",
		"s == s2", "s < s2", "l == l2", "few == few", "p < p", "s + s", "s ~ s", "s * 2", "2 * l", "l + l", "'%s' % s", "f % 1", "'%.1r' % s", "{k: 1}", "loop.changed(s)", "cycler(*l)", "dict(**d)", "'{}'.format(s)", "'{0[5]}'.format(s)"} {
		all = append(all, probe{name: src, src: src})
	}
	return all
}

// TestEverythingIsCharged calls every builtin on large values within a loop: it ends with a limit, after so few rounds as
// the budget has room for such values.
func TestEverythingIsCharged(t *testing.T) {
	vars := big()
	typed := []string{"boolean", "callable", "defined", "escaped", "false", "float", "integer", "iterable", "mapping", "none", "number", "sequence", "string", "true", "undefined"}
	called := map[string]bool{}
	for _, p := range probes() {
		if strings.Contains("wfprd", p.x) && p.x != "" && called[p.name+" "+p.x] { // with one sort of arguments
			continue
		}
		kind, name, _ := strings.Cut(p.name, " ")
		vars["rounds"] = 50
		if kind == "global" && !strings.ContainsAny(p.args, "swkl") || kind == "test" && slices.Contains(typed, name) || p.x != "" && strings.Contains(unlooked[p.name], p.x) {
			vars["rounds"] = 20_000
		}
		_, err := renderWithin("{% for i in range(rounds) %}{% set v = "+p.src+" %}{% endfor %}", vars, Options{Steps: 20_000, Bytes: 16 << 20})
		var e *Error
		switch {
		case err == nil:
			t.Errorf("%s met no limit in %d rounds", p.src, vars["rounds"])
		case !errors.As(err, &e):
			t.Fatal(err)
		}
		if err == nil || e.Kind != Runtime { // a complaint about what it was given
			called[p.name], called[p.name+" "+p.x] = true, true
		} else if !called[p.name] {
			called[p.name] = false
		}
	}
	for name, ok := range called {
		if !ok {
			t.Errorf("%s takes none of %q", name, takes)
		}
	}
}

func renderWithin(src string, vars map[string]any, o Options) (Result, error) {
	tmpl, err := Compile(src)
	if err != nil {
		return Result{}, err
	}
	return tmpl.Render(vars, o)
}
