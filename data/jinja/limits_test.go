package jinja

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestHostile: templates that would take for ever or fill the memory end with one sentence.
func TestHostile(t *testing.T) {
	const million = "{% for a in range(100000) %}"
	for name, src := range map[string]string{
		"loops":           million + million + million + "x{% endfor %}{% endfor %}{% endfor %}",
		"empty loops":     million + million + "{% endfor %}{% endfor %}",
		"long string":     "{{ 'a' * 1000000000000 }}",
		"doubled string":  "{% set ns = namespace(s='ab') %}" + million + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"doubled list":    "{% set ns = namespace(s=[1]) %}" + million + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"macro":           "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"mutual macros":   "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
		"caller":          "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
		"recursive loop":  "{% set l = [1] %}{% for x in [l] recursive %}{{ loop([l]) }}{% endfor %}",
		"shared list":     "{% set ns = namespace(s=[1]) %}{% for a in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
		"shared json":     "{% set ns = namespace(s=[1]) %}{% for a in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}",
		"shared compare":  "{% set ns = namespace(s=[1], t=[1]) %}{% for a in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
		"deep list":       "{% set ns = namespace(s=[1]) %}" + million + "{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
		"deep dict":       "{% set ns = namespace(s={}) %}" + million + "{% set ns.s = {1: ns.s} %}{% endfor %}{{ ns.s == ns.s }}",
		"replace":         "{% set s = 'a' * 1000000 %}{{ s.replace('a', s) }}",
		"replace nothing": "{% set s = 'a' * 1000000 %}{{ s.replace('', s) }}",
		"join":            "{{ range(100000)|join('a' * 100000) }}",
		"center":          "{{ 'a'.center(10000000000) }}",
		"zfill":           "{{ 'a'.zfill(10000000000) }}",
		"percent width":   "{{ '%999999999d' % 1 }}",
		"percent star":    "{{ '%*d' % (999999999, 1) }}",
		"format width":    "{{ '{:999999999}'.format(1) }}",
		"indent":          "{{ ('\\n' * 100000)|indent(100000, true, true) }}",
		"json indent":     "{{ range(100000)|list|tojson(indent='a' * 100000) }}",
		"json comma":      "{{ range(100000)|list|tojson(separators=('a' * 100000, 'b')) }}",
		"batch":           "{{ [1]|batch(10000000000, 'x')|list }}",
		"range":           "{{ range(1000000000)|list }}",
		"expandtabs":      "{{ ('\t' * 1000000).expandtabs(1000) }}",
		"wordwrap":        "{{ ('a ' * 1000000)|wordwrap(1, true, 'b' * 10000) }}",
		"wordwrap word":   "{% set s = 'a' * 300000 %}" + million + "{% set x = s|wordwrap(1) %}{% endfor %}",
		"wordwrap lines":  "{% set s = '\\n' * 300000 %}" + million + "{% set x = s|wordwrap %}{% endfor %}",
		"trim":            "{% set s = 'a' * 1000000 %}" + million + "{% set x = s|trim('b' * 1000000 ~ 'a') %}{% endfor %}",
		"repeated needle": "{% set s = ('ab' ~ 'x' * 14) * 60000 %}{% set n = s[:480001] ~ 'y' %}" + million + "{% set x = n in s %}{% endfor %}",
		"needle behind":   "{% set s = ('ab' ~ 'x' * 14) * 60000 %}{% set n = 'y' ~ s[:480001] %}" + million + "{% set x = s.rsplit(n, 1) %}{% endfor %}",
		"wide scope":      "{% macro f() %}" + many(5000, "{% set a# = 1 %}") + million + "{% set x = a0 %}{% endfor %}{% endmacro %}{{ f() }}",
		"parameters":      "{% macro f(" + many(5000, "a#=1,") + "z=1) %}{% endmacro %}" + million + "{% set x = f() %}{% endfor %}",
		"long name":       million + "{% set x = " + strings.Repeat("a", 500000) + " %}{% endfor %}",
		"long attribute":  million + "{% set x = {}." + strings.Repeat("a", 500000) + " %}{% endfor %}",
		"marks":           "{{ ('a' * 1000000)|replace('a', marked) }}",
		"capitals":        "{% set s = 'ŉ' * 500000 %}" + million + "{% set x = s.upper() %}{% endfor %}",
		"split":           million + "{% set x = ('a ' * 10000).split() %}{% endfor %}",
		"output":          million + "{{ 'a' * 10000 }}{% endfor %}",
		"contains":        "{% set s = 'a' * 10000000 %}" + million + "{% if 'b' in s %}{% endif %}{% endfor %}",
		"sort":            "{% set l = range(100000)|list %}" + million + "{% set x = l|sort %}{% endfor %}",
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() {
				tmpl, err := Compile(src)
				if err == nil {
					o := Options{Steps: 200_000, Bytes: 16 << 20} // the defaults take ten times as long
					if name == "loops" {
						o = Options{}
					}
					_, err = tmpl.Render(map[string]any{"marked": NewStr("b", &Origin{0, "content"})}, o)
				}
				done <- err
			}()
			select {
			case err := <-done:
				var e *Error
				if !errors.As(err, &e) || e.Kind != Limit && !strings.Contains(e.Msg, "between 0 and") {
					t.Fatalf("got %v, want a limit", err)
				}
				if strings.Contains(e.Error(), "\n") || e.Line != 1 {
					t.Errorf("%q is not one sentence with a position", e)
				}
			case <-time.After(time.Minute):
				t.Fatal("it does not end")
			}
		})
	}
}

// many is a text n times, its number in place of #.
func many(n int, form string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(form, "#", strconv.Itoa(i)))
	}
	return b.String()
}

// TestHostileSource: sources that would overflow the stack of a recursive parser or evaluator.
func TestHostileSource(t *testing.T) {
	const n = 100_000
	for name, src := range map[string]string{
		"parentheses": "{{ " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " }}",
		"lists":       "{{ " + strings.Repeat("[", n) + " }}",
		"not":         "{{ " + strings.Repeat("not ", n) + "x }}",
		"minus":       "{{ " + strings.Repeat("-", n) + "1 }}",
		"plus":        "{{ 1" + strings.Repeat("+1", n) + " }}",
		"attributes":  "{{ x" + strings.Repeat(".a", n) + " }}",
		"filters":     "{{ x" + strings.Repeat("|e", n) + " }}",
		"tests":       "{{ x" + strings.Repeat(" is defined", n) + " }}",
		"blocks":      strings.Repeat("{% if x %}", n),
		"conditions":  "{{ " + strings.Repeat("1 if x else ", n) + "1 }}",
		"size":        strings.Repeat("a", MaxSource+1),
		"targets":     "{% for " + strings.Repeat("(", n) + "a in x %}{% endfor %}",
		"bytes":       "a\xff",
	} {
		if _, err := Compile(src); err == nil {
			t.Errorf("%s: compiled", name)
		} else if len(err.Error()) > 300 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q is not one sentence", name, err)
		}
	}
}

// TestBudgets: the bounds can be set, and a render within them is not disturbed.
func TestBudgets(t *testing.T) {
	tmpl, err := Compile("{% for i in range(100) %}{{ i }} {% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tmpl.Render(nil, Options{Steps: 1000, Bytes: 10000, Depth: 10}); err != nil {
		t.Error(err)
	}
	for _, o := range []Options{{Steps: 50}, {Bytes: 100}, {Depth: 1}} {
		var e *Error
		if _, err := tmpl.Render(nil, o); !errors.As(err, &e) || e.Kind != Limit {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// dying is a context that is done once it was asked so often.
type dying struct {
	context.Context
	looks int
}

func (d *dying) Err() error {
	if d.looks--; d.looks < 0 {
		return context.Canceled
	}
	return nil
}

// TestContext: a rendering ends soon after its context, with the context's error, whatever it is doing.
func TestContext(t *testing.T) {
	vars := big()
	for name, src := range map[string]string{
		"nothing":    "{% set x = 1 %}",
		"statements": "{% for a in range(1000) %}{% for b in range(1000) %}{% set x = 1 %}{% endfor %}{% endfor %}",
		"condition":  "{% for a in range(100000) if a < 0 %}{% endfor %}",
		"tuple":      "{% for a in range(100000) %}{% set x, y = 'ab' %}{% endfor %}",
		"filter":     "{{ l|map('string')|join }}",
		"comparison": "{{ l == l2 }}",
		"strings":    "{% for a in range(100) %}{% set x = s is lower %}{% endfor %}",
		"macro":      "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(15) }}",
		"default":    "{% macro f(n=range(10000)|sum) %}{% endmacro %}{{ f() }}{{ f() }}{{ f() }}{{ f() }}",
	} {
		looks := 3
		if name == "nothing" {
			looks = 0
		}
		tmpl, err := Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tmpl.Render(vars, Options{Context: &dying{t.Context(), looks}}); err != context.Canceled {
			t.Errorf("%s: %v, want the error of the context", name, err)
		}
	}
	tmpl, err := Compile("{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	r, err := tmpl.start(nil, Options{Steps: 1_000_000, Context: &dying{t.Context(), 5}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.stmts(tmpl.body, r.names); err != context.Canceled || 1_000_000-r.steps > 10_000 {
		t.Errorf("%v after %d steps", err, 1_000_000-r.steps)
	}
}
