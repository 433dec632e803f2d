package show

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// page makes one HTML page. It is written when all is known: its head has the counts.
type page struct {
	w     io.Writer
	tmpl  *template.Template
	about About
	files []Summary
	rows  bytes.Buffer
	n     int // rows so far
}

// NewHTML makes a page that needs nothing else: no network, no other file. End writes it.
func NewHTML(w io.Writer, about About) (Printer, error) {
	t, err := template.New("page").Parse(pageSource)
	if err != nil {
		return nil, fmt.Errorf("the page: %w", err)
	}
	return &page{w: w, tmpl: t, about: about}, nil
}

// rowView is a row as the page's template reads it.
type rowView struct {
	N             int // of the page
	Place, Schema string
	Counts        string // of its only example
	Number        int
	Complaint     string
	Notes         []string
	Examples      []exampleView
}

type exampleView struct {
	Name, Counts string
	Tokens       bool
	Lines        []lineView
}

type lineView struct {
	Rule, Who, Mark string
	State           State
	HTML            template.HTML
}

func (p *page) Row(r Row) error {
	p.n++
	v := rowView{N: p.n, Place: r.place(), Schema: r.Schema, Number: r.Number}
	if r.Err != nil {
		v.Complaint = r.complaint()
	}
	for _, n := range r.Notes {
		v.Notes = append(v.Notes, oneLine(n))
	}
	for i := range r.Examples {
		e := &r.Examples[i]
		v.Examples = append(v.Examples, exampleView{e.name, e.counts(), true, views(e.Lines, e)})
		if e.name == "" {
			v.Counts, v.Examples[i].Counts = e.counts(), ""
		}
	}
	if lines := r.unrendered(); lines != nil {
		v.Examples = append(v.Examples, exampleView{Name: asRead, Lines: views(lines, &Example{})})
	}
	return p.tmpl.ExecuteTemplate(&p.rows, "row", v)
}

// pageTokens is how many tokens of an example the page has: a browser takes no more than a few hundred thousand in all.
const pageTokens = 50_000

func views(lines []Line, e *Example) []lineView {
	out := make([]lineView, len(lines))
	who := labels(lines)
	for i, l := range lines {
		out[i] = lineView{Rule: l.Rule, Who: who[i], Mark: [...]string{"", "+", "×"}[l.State], State: l.State}
		var b strings.Builder
		for _, p := range l.Pieces {
			if p.From >= pageTokens {
				out[i].HTML = template.HTML(b.String())
				return append(out[:i+1], lineView{Rule: count(len(e.Tokens)-p.From, "token") + " more: this page has them not, --jsonl has"})
			}
			e.pieceHTML(&b, p)
		}
		out[i].HTML = template.HTML(b.String())
	}
	return out
}

// pieceHTML writes a piece: its characters, of which the visible marks cannot be selected, so that what is copied from the
// page is the text itself; and in data-i what is known of its tokens.
func (e *Example) pieceHTML(b *strings.Builder, p Piece) {
	if p.From < p.To {
		class := "k"
		if e.Tokens[p.From].Special {
			class = "k s"
		}
		fmt.Fprintf(b, `<b class="%s" data-i="`, class)
		for i := p.From; i < p.To; i++ {
			if i > p.From {
				b.WriteString("  +  ")
			}
			b.WriteString(template.HTMLEscapeString(e.facts(i)))
		}
		b.WriteString(`">`)
		defer b.WriteString("</b>")
	}
	text := visible(p.Text)
	if p.Text == "" && p.From < p.To {
		text = visible(e.Tokens[p.From].Form)
	}
	for _, g := range text {
		switch g.kind {
		case plain:
			b.WriteString(template.HTMLEscapeString(g.text))
		case blank:
			b.WriteString("<i>" + g.raw + "</i>")
		case tab:
			for range g.raw {
				b.WriteString("<u>→</u>\t")
			}
		case newline:
			b.WriteString("<u>↵</u>")
		case escape:
			b.WriteString("<em>" + template.HTMLEscapeString(g.text) + "</em>")
		}
	}
}

// facts is all that is known of a token.
func (e *Example) facts(i int) string {
	t := &e.Tokens[i]
	s := fmt.Sprintf("#%d  id %d  %s", i, t.ID, shown(e.seen(i)))
	if form := shown(visible(t.Form)); !strings.HasSuffix(s, "  "+form) {
		s += " = " + form
	}
	s += "  "
	switch {
	case t.State == Trained:
		s += fmt.Sprintf("trained, weight %.4g", t.Weight)
	case t.State == Lost:
		s += "cut away"
	default:
		s += "read, not trained"
	}
	if t.Special {
		s += "  special"
	}
	return s + "  from " + oneLine(t.From())
}

func (p *page) File(s Summary) error {
	s.Path = oneLine(s.Path)
	p.files = append(p.files, s)
	return nil
}

func (p *page) End(s Summary) error {
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return base64.StdEncoding.EncodeToString(h[:])
	}
	about := p.about
	about.Model, about.Template, about.Doubts = oneLine(about.Model), oneLine(about.Template), nil
	for _, d := range p.about.Doubts {
		about.Doubts = append(about.Doubts, oneLine(d))
	}
	head := map[string]any{"About": about, "Files": p.files, "All": s, "Policy": fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'", sum(pageStyle), sum(pageScript)),
		"Style": template.CSS(pageStyle), "Script": template.JS(pageScript)}
	if err := p.tmpl.ExecuteTemplate(p.w, "head", head); err != nil {
		return err
	}
	if _, err := p.rows.WriteTo(p.w); err != nil {
		return err
	}
	return p.tmpl.ExecuteTemplate(p.w, "foot", head)
}
