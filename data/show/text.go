package show

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// TextOptions say how rows are printed.
type TextOptions struct {
	Color  bool // ANSI colours; without them special tokens stand in « »
	Tokens bool // a table of the tokens behind each text
	Width  int  // columns of the terminal, at which the texts are wrapped; 0 = they are not
}

// Select Graphic Rendition (ECMA-48 8.3.117).
const (
	sgrBold    = "1"
	sgrDim     = "2"
	sgrInverse = "7"
	sgrStruck  = "9"
	sgrRed     = "31"
	sgrGreen   = "32"
	sgrYellow  = "33"
)

// text prints rows for people. Each line of a text begins with whose words it holds and a mark: + trained, x cut away.
type text struct {
	w     *bufio.Writer
	o     TextOptions
	style string // in force now
	files int    // shown so far

	left, column int    // of the open line: columns of its gutter, and where it ends so far
	again        func() // writes its gutter once more
}

// NewText prints rows for a terminal or a file.
func NewText(w io.Writer, about About, o TextOptions) Printer {
	t := &text{w: bufio.NewWriter(w), o: o}
	t.put(sgrDim, "model "+oneLine(about.Model))
	if about.Template != "" {
		t.put(sgrDim, fmt.Sprintf("\ntemplate %s (SHA-256 %s)", oneLine(about.Template), about.TemplateSHA256))
	}
	t.put(sgrDim, fmt.Sprintf("\ntokenizer SHA-256 %s\n", about.TokenizerSHA256))
	for _, d := range about.Doubts {
		t.put(sgrYellow, "warning: "+oneLine(d)+"\n")
	}
	t.put("", "lines: ")
	t.put(sgrGreen, "+ trained")
	t.put("", "  (no mark) read only  ")
	t.put(sgrDim+";"+sgrStruck, "x cut away")
	t.put("", "   characters: · blank  → tab  ↵ line end  ")
	t.put(sgrInverse, t.marked("special token"))
	t.put("", "\n")
	return t
}

// put writes s in a style, "" = the terminal's own.
func (t *text) put(style, s string) {
	if t.o.Color && style != t.style {
		t.w.WriteString("\x1b[0m")
		if style != "" {
			t.w.WriteString("\x1b[" + style + "m")
		}
		t.style = style
	}
	t.w.WriteString(s)
}

// marked is a special token so that it cannot be mistaken for text.
func (t *text) marked(s string) string {
	if t.o.Color { // which is its own
		return s
	}
	return "«" + s + "»"
}

func (t *text) Row(r Row) error {
	t.put("", "\n")
	t.put(sgrBold, r.place())
	if r.Number > 0 {
		t.put("", fmt.Sprintf("  row %d", r.Number))
	}
	if r.Schema != "" {
		t.put("", "  "+r.Schema)
	}
	if len(r.Examples) == 1 {
		t.put("", "  "+r.Examples[0].counts())
	}
	t.put("", "\n")
	if r.Err != nil {
		t.put(sgrBold+";"+sgrRed, "  bad: "+r.complaint()+"\n")
	}
	for _, n := range r.Notes {
		t.put(sgrYellow, "  note: "+oneLine(n)+"\n")
	}
	for i := range r.Examples {
		e := &r.Examples[i]
		if e.name != "" {
			t.put("", "  "+e.name+"  "+e.counts()+"\n")
		}
		t.lines(e.Lines, e)
		if t.o.Tokens {
			t.tokens(e)
		}
	}
	if lines := r.unrendered(); lines != nil {
		t.put("", "  "+asRead+"\n")
		t.lines(lines, &Example{})
	}
	t.put("", "")
	return t.w.Flush()
}

// whoWidth is how many columns there are for whose words a line holds.
const whoWidth = 12

func (t *text) lines(lines []Line, e *Example) {
	who := labels(lines)
	for i, l := range lines {
		if l.Rule != "" {
			t.put(sgrYellow, "  ---- "+l.Rule+" ----\n")
		}
		t.gutter(who[i], l.State)
		for _, p := range l.Pieces {
			t.piece(p, l.State, e)
		}
		t.put("", "\n")
	}
}

func stateStyle(s State) string { return [...]string{"", sgrGreen, sgrDim + ";" + sgrStruck}[s] }

func (t *text) piece(p Piece, s State, e *Example) {
	style := stateStyle(s)
	if p.To == p.From+1 && (e.Tokens[p.From].Special || p.Text == "") {
		t.flow(join(style, sgrInverse), t.marked(special(p, e)))
		return
	}
	for _, g := range visible(p.Text) {
		switch g.kind {
		case plain:
			t.flow(style, g.text)
		case escape:
			t.flow(join(style, sgrRed), g.text)
		default:
			t.flow(join(style, sgrDim), g.text)
		}
	}
}

// special is a special token as it stands in the text, or as the vocabulary has it where it stands for no bytes.
func special(p Piece, e *Example) string {
	if p.Text == "" {
		return shown(visible(e.Tokens[p.From].Form))
	}
	return shown(visible(p.Text))
}

func shown(all []glyphs) string {
	var b strings.Builder
	for _, g := range all {
		b.WriteString(g.text)
	}
	return b.String()
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ";" + b
}

// formWidth is how many columns there are for a token.
const formWidth = 24

func (t *text) tokens(e *Example) {
	t.put(sgrDim, fmt.Sprintf("  %6s  %7s  %6s  %-*s  %s\n", "#", "id", "weight", formWidth, "token", "from"))
	for i := range e.Tokens {
		tok := &e.Tokens[i]
		weight := ""
		switch tok.State {
		case Trained:
			weight = fmt.Sprintf("+ %.4g", tok.Weight)
		case Lost:
			weight = "x"
		}
		t.put(stateStyle(tok.State), fmt.Sprintf("  %6d  %7d  %6s  ", i, tok.ID, weight))
		s, style := shown(e.seen(i)), stateStyle(tok.State)
		if tok.Special {
			s, style = t.marked(s), join(style, sgrInverse)
		}
		t.put(style, s)
		t.put("", strings.Repeat(" ", max(0, formWidth-utf8.RuneCountInString(s)))+"  ")
		t.put(sgrDim, oneLine(tok.From())+"\n")
	}
}

func (t *text) File(s Summary) error {
	t.files++
	t.put("", "\n")
	t.put(sgrBold, oneLine(s.Path))
	t.put("", "  shown: "+s.String()+"\n")
	switch {
	case s.More():
		t.put(sgrDim, fmt.Sprintf("the file has more rows; --rows %d-%d shows the next\n", s.Last+1, s.Last+max(2, s.Rows)))
	case s.Rows == 0 && s.Of > 0:
		t.put(sgrDim, "the file has "+count(s.Of, "row")+"\n")
	}
	t.put("", "")
	return t.w.Flush()
}

func (t *text) End(s Summary) error {
	if t.files < 2 {
		return nil
	}
	t.put(sgrBold, "all files")
	t.put("", "  shown: "+s.String()+"\n")
	return t.w.Flush()
}
