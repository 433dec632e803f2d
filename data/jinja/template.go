// Package jinja is the template language of published chat templates, as transformers runs it: Jinja2's immutable
// sandbox with trim_blocks, lstrip_blocks and loop controls; tojson without HTML escapes and key sorting; raise_exception;
// strftime_now; {% generation %}.
//
// Two things are its own. Strings remember which message and field their bytes came from, through concatenation, filters
// and methods, so a rendering says exactly where each message ended up. And a render is bounded in steps, bytes and depth,
// since a template comes with a model and may be anyone's.
//
// Not supported, and refused by name: include, import, from, extends, autoescape, the random and urlize filters.
package jinja

import (
	"context"
	"time"
)

// MaxSource is the most bytes a template may have.
const MaxSource = 1 << 20

// Template is a compiled template. It does not change and may be rendered by several goroutines at once.
type Template struct {
	body  []stmt
	names []string // the names used, by number
	ids   map[string]int
	gen   bool
	// closures: there are macros or call blocks, which may keep a scope after it ends.
	closures bool
	lang     *lang
}

// Compile reads a template. Errors are *Error with line and column.
func Compile(src string) (*Template, error) {
	if len(src) > MaxSource {
		return nil, &Error{Kind: Limit, Msg: "the template is larger than 1 MiB"}
	}
	toks, err := tokenize(src)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks, names: map[string]int{}, lang: builtins()}
	body, err := p.body()
	if err != nil {
		return nil, err
	}
	return &Template{body: body, names: p.list, ids: p.names, gen: p.gen, closures: p.closures, lang: p.lang}, nil
}

// HasGeneration says whether the template marks the assistant's text itself, with {% generation %}.
func (t *Template) HasGeneration() bool { return t.gen }

// Uses says whether the template reads a variable of this name.
func (t *Template) Uses(name string) bool { _, ok := t.ids[name]; return ok }

// Options bound a render and set its clock. Zero means the default.
type Options struct {
	// Context ends a render when it is done, with its error; nil = nothing does. One builtin over one string is not broken off.
	Context context.Context

	Now   time.Time // what strftime_now reads; the clock by default
	Steps int       // evaluated nodes and loop rounds, 2 million by default
	Bytes int       // bytes of all strings and lists made on the way, 128 MiB by default
	Depth int       // nested expressions, loops and macro calls, 1000 by default
}

func (o Options) budget() budget {
	b := budget{steps: o.Steps, bytes: o.Bytes, depth: o.Depth, ctx: o.Context}
	if b.steps <= 0 {
		b.steps = 2_000_000
	}
	if b.bytes <= 0 {
		b.bytes = 128 << 20
	}
	if b.depth <= 0 {
		b.depth = 1000
	}
	if b.ctx == nil {
		b.ctx = context.Background()
	}
	return b
}

// Span says that bytes [Start, End) of a rendering were copied from a field of a message.
type Span struct {
	Start, End int
	Origin
}

// Range is a range of bytes of a rendering.
type Range struct{ Start, End int }

// Result is a rendered template.
type Result struct {
	Text       string
	Spans      []Span  // sorted, disjoint
	Generation []Range // what {% generation %} blocks wrote, in order
}

// Render runs the template. Values of vars are what FromGo takes. Errors are *Error, or that of o.Context.
func (t *Template) Render(vars map[string]any, o Options) (Result, error) {
	r, err := t.start(vars, o)
	if err != nil {
		return Result{}, err
	}
	if _, err := r.stmts(t.body, r.names); err != nil {
		return Result{}, err
	}
	res := Result{Text: string(r.root.buf), Generation: r.generation, Spans: make([]Span, len(r.root.marks))}
	for i, m := range r.root.marks {
		res.Spans[i] = Span{m.start, m.end, *m.origin}
	}
	return res, nil
}

// start makes the rendering that begins with these variables.
func (t *Template) start(vars map[string]any, o Options) (*run, error) {
	out := &builder{}
	r := &run{t: t, budget: o.budget(), now: o.Now, out: out, root: out, names: &scope{top: make([]Value, len(t.names))}}
	for i, name := range t.names {
		top := &r.names.top[i]
		*top = unset
		if v, ok := vars[name]; ok {
			var err error
			if *top, err = FromGo(v); err != nil {
				return nil, located(err, pos{})
			}
		} else if g, ok := t.lang.globals[name]; ok {
			*top = g
		}
	}
	return r, r.pause()
}
