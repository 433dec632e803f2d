package show

import (
	"errors"
	"fmt"
	"strings"

	"attune/data"
	"attune/data/source"
)

// About says what rows were made with.
type About struct {
	Model           string
	Template        string // where it came from; "" = none
	TemplateSHA256  string
	TokenizerSHA256 string
	Doubts          []string // that the template is this model's
}

// Printer is a form in which rows are shown.
type Printer interface {
	Row(Row) error
	File(Summary) error // behind the rows of a file
	End(Summary) error  // behind all files
}

// Summary counts what was shown. Bad rows are counted, not what is in them.
type Summary struct {
	Path          string // "" = of several files
	Rows, Bad     int
	Examples      int
	Tokens        int // of what the model gets
	TrainedTokens int
	Cut           int
	Split         int
	Dropped       int
	TrainedLost   int
	Of            int // rows of the file, negative where there are more than were looked at
	Last          int // number of the last row that was
}

// More: the file has rows behind those that were shown.
func (s Summary) More() bool { return s.Of < 0 }

// Add counts a row.
func (s *Summary) Add(r Row) {
	if r.Number > 0 {
		s.Rows, s.Last = s.Rows+1, r.Number
	}
	if r.Err != nil {
		s.Bad++
		return
	}
	for _, e := range r.Examples {
		s.Examples += len(e.Cut.Examples)
		for _, p := range e.Cut.Examples {
			s.Tokens += len(p.IDs)
		}
		s.TrainedTokens += e.TrainedTokens()
		s.Cut += e.Cut.Cut
		s.Dropped += e.Cut.Dropped
		s.TrainedLost += e.Cut.TrainedLost
		if e.Cut.Split > 0 {
			s.Split++
		}
	}
}

// Join adds another file's counts.
func (s *Summary) Join(o Summary) {
	s.Rows, s.Bad, s.Examples, s.Tokens, s.TrainedTokens = s.Rows+o.Rows, s.Bad+o.Bad, s.Examples+o.Examples, s.Tokens+o.Tokens, s.TrainedTokens+o.TrainedTokens
	s.Cut, s.Split, s.Dropped, s.TrainedLost = s.Cut+o.Cut, s.Split+o.Split, s.Dropped+o.Dropped, s.TrainedLost+o.TrainedLost
}

// String is the counts in words.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %s", count(s.Rows, "row"), count(s.Examples, "example"), share(s.Tokens, s.TrainedTokens))
	if over := fate(s.Cut, s.Split, s.Dropped, s.TrainedLost); over != "" {
		b.WriteString("; " + over)
	}
	if s.Bad > 0 {
		fmt.Fprintf(&b, "; %d bad", s.Bad)
	}
	return b.String()
}

// Err is a *source.RowError where rows are bad.
func (s Summary) Err() error {
	switch {
	case s.Bad == 0:
		return nil
	case s.Rows == 0:
		return &source.RowError{Position: data.Position{File: s.Path}, What: "the file cannot be read as rows", Do: "mend what is said of it"}
	}
	return &source.RowError{Position: data.Position{File: s.Path}, What: fmt.Sprintf("%d of %s shown cannot be learnt from", s.Bad, count(s.Rows, "row")), Do: "mend or remove them"}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func share(tokens, trained int) string {
	if tokens == 0 {
		return "0 tokens"
	}
	return fmt.Sprintf("%s, %d trained (%.0f %%)", count(tokens, "token"), trained, 100*float64(trained)/float64(tokens))
}

// fate says what became of examples that were too long; "" = of none.
func fate(cut, split, dropped, lost int) string {
	var said []string
	for _, f := range []struct {
		n    int
		what string
	}{{cut, "cut"}, {split, "split"}, {dropped, "dropped"}} {
		if f.n > 0 {
			said = append(said, fmt.Sprintf("%d %s", f.n, f.what))
		}
	}
	if lost > 0 {
		said = append(said, count(lost, "trained token")+" lost")
	}
	return strings.Join(said, ", ")
}

// counts are what stands in the head of an example.
func (e *Example) counts() string {
	s := share(len(e.Tokens), e.TrainedTokens())
	switch {
	case e.Cut.Cut > 0:
		s += fmt.Sprintf(", cut to %d (%s lost)", e.Parts[0].To, count(e.Cut.TrainedLost, "trained token"))
	case e.Cut.Split > 0:
		s += ", split into " + count(len(e.Parts), "part")
	case e.Cut.Dropped > 0:
		s += ", left out (" + count(e.Cut.TrainedLost, "trained token") + " lost)"
	}
	return s
}

// place is file and line of a row.
func (r *Row) place() string {
	if r.Line == 0 {
		return oneLine(r.File)
	}
	return fmt.Sprintf("%s:%d", oneLine(r.File), r.Line)
}

// complaint is what is wrong with a row, less its place.
func (r *Row) complaint() string {
	var bad *source.RowError
	if !errors.As(r.Err, &bad) {
		return oneLine(r.Err.Error())
	}
	s := bad.What
	if bad.Do != "" {
		s += "; " + bad.Do
	}
	return oneLine(s)
}

// asRead stands above a row that is shown without having been rendered.
const asRead = "as it was read, not rendered"

// unrendered is a row that could not be rendered, as it was read.
func (r *Row) unrendered() []Line {
	var out []Line
	for i, m := range r.read {
		for _, p := range pieces(m.Content+string(m.ToolCalls)+"\n", nil, nil) {
			out = append(out, Line{Who: fmt.Sprintf("%d %s", i, m.Role), Pieces: []Piece{p}})
		}
	}
	return out
}

// labels are whose words lines hold, "" where a line above says so or where it holds nobody's.
func labels(lines []Line) []string {
	out := make([]string, len(lines))
	last := ""
	for i, l := range lines {
		if l.Rule != "" {
			last = ""
		}
		if l.Who != "" && l.Who != last {
			out[i], last = oneLine(l.Who), l.Who
		}
	}
	return out
}

// seen is how one token is shown by itself: its bytes, or what the vocabulary calls it where it has none of its own.
func (e *Example) seen(i int) []glyphs {
	s := e.Tokens[i].Span
	shared := i > 0 && e.Tokens[i-1].Span.End > s.Start || i+1 < len(e.Tokens) && e.Tokens[i+1].Span.Start < s.End
	if s.Start == s.End || shared {
		return visible(e.Tokens[i].Form)
	}
	return visible(e.Text[s.Start:s.End])
}
