// Package show lays out the rows of a file as the model gets them: the text that the template writes, the tokens it is cut
// into, which of them are learnt and at which weight, where each came from, and what is cut away. It prints them for a
// terminal, as one HTML page, and as JSON lines.
//
// Rows become examples by corpus.Options.Make, the way a run's do: ids and weights are those of training.
package show

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"attune/data"
	"attune/data/chat"
	"attune/data/corpus"
	"attune/data/source"
	"attune/data/tokenizer"
)

// Row is one row of a file with everything that became of it.
type Row struct {
	data.Position
	Number   int    // of the row in its file, from 1
	Schema   string // "" if no row of the file has told it yet
	Examples []Example
	Notes    []string // what is to be known of it: odd, not trained, split
	Err      error    // what is wrong with it; the examples that it has all the same are there, no run would take them

	read []data.Message // as it was read, where it could not be rendered
}

// Reader gives the rows of one file.
type Reader struct {
	rows     *source.Reader
	o        corpus.Options
	literal  *tokenizer.Finder // of special-token strings
	number   int               // of the row given last
	good     int               // rows that could be read, as corpus counts them
	warnings []source.Warning  // about the next row
}

// Open opens a file. What makes it unreadable as a whole is a *source.RowError.
func Open(ctx context.Context, f corpus.File, o corpus.Options) (*Reader, error) {
	o.Context = ctx
	r := &Reader{o: o, literal: tokenizer.NewFinder(o.Tokenizer.SpecialTokens())}
	var err error
	r.rows, err = source.Open(ctx, f.Path, source.Options{Format: f.Format, Warn: func(w source.Warning) { r.warnings = append(r.warnings, w) }})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.rows.Close() }

// Skip goes past the next row without rendering it; io.EOF if there is none.
func (r *Reader) Skip() error {
	_, _, err := r.next()
	return err
}

// Next gives the next row; io.EOF after the last. What is wrong with a row stands in it; an error ends the file.
func (r *Reader) Next() (Row, error) {
	c, bad, err := r.next()
	if err != nil {
		return Row{}, err
	}
	row := Row{Number: r.number, Schema: r.rows.Schema()}
	for _, w := range r.warnings {
		row.Notes = append(row.Notes, w.What)
	}
	if bad != nil {
		row.Position, row.Err = bad.Position, bad
		return row, nil
	}
	row.Position = c.Position
	made, err := r.o.Make(r.good, c)
	if err != nil && !errors.As(err, &bad) {
		return Row{}, err
	}
	row.Err = err
	if made == nil {
		row.read = c.Messages
	}
	for i, m := range made {
		row.Examples = append(row.Examples, r.example(c, m, len(made), i))
	}
	row.Notes = append(row.Notes, r.notes(c, made)...)
	return row, nil
}

// next reads a row; bad is what is wrong with it.
func (r *Reader) next() (c data.Conversation, bad *source.RowError, err error) {
	r.warnings = r.warnings[:0]
	c, err = r.rows.Next()
	if err != nil && !errors.As(err, &bad) {
		return c, nil, err
	}
	r.number++
	if bad == nil {
		r.good++
	}
	return c, bad, nil
}

// notes say of a row what its text alone does not show.
func (r *Reader) notes(c data.Conversation, made []corpus.Made) []string {
	var notes []string
	if len(made) > 1 {
		own := make([]string, 0, len(made))
		for i, m := range made {
			if len(m.Trained) > 0 {
				own = append(own, fmt.Sprintf("messages[%d] in example %d", m.Trained[len(m.Trained)-1].Message, i+1))
			}
		}
		notes = append(notes, fmt.Sprintf("%d examples: the template writes earlier turns otherwise once others follow, so each is learnt as it is served: %s", len(made), strings.Join(own, ", ")))
	}
	trained := map[int]bool{}
	for _, m := range made {
		for _, s := range m.Trained {
			trained[s.Message] = true
		}
	}
	if len(made) > 0 {
		notes = append(notes, untrained(c.Messages, trained, r.o.TrainOn)...)
	}
	for _, m := range made {
		for _, o := range m.Openings {
			notes = append(notes, fmt.Sprintf("messages[%d] would be generated behind another text than it is trained behind: %q, but trained %q", o.Message, o.Served, o.Trained))
		}
	}
	for _, w := range made {
		if n := r.plainSpecials(w); n > 0 {
			notes = append(notes, fmt.Sprintf("special-token text within the row's own words stays plain text: %d times", n))
			break
		}
	}
	return notes
}

// untrained says which assistant turns are not learnt, and why.
func untrained(messages []data.Message, trained map[int]bool, trainOn string) []string {
	var notes, last []string
	for i, m := range messages {
		if m.Role != "assistant" {
			continue
		}
		name := fmt.Sprintf("messages[%d]", i)
		switch {
		case trained[i] && m.Weight != nil && *m.Weight != 1:
			notes = append(notes, fmt.Sprintf("%s is trained at weight %g", name, *m.Weight))
		case trained[i]:
		case m.Train != nil && !*m.Train:
			notes = append(notes, name+" is not trained: its train is false")
		case m.Weight != nil && *m.Weight == 0:
			notes = append(notes, name+" is not trained: its weight is 0")
		case trainOn == "last":
			last = append(last, name)
		default:
			notes = append(notes, name+" is not trained: the template writes nothing of it that could be")
		}
	}
	if len(last) > 0 {
		notes = append(notes, strings.Join(last, ", ")+" not trained: train_on is last")
	}
	return notes
}

// plainSpecials counts the special-token strings that are plain text in an example.
func (r *Reader) plainSpecials(m corpus.Made) int {
	special := map[chat.Span]bool{}
	for i, id := range m.Tokens.IDs {
		if r.o.Tokenizer.IsSpecial(id) {
			special[m.Tokens.Offsets[i]] = true
		}
	}
	n := 0
	for _, at := range r.literal.Find(nil, m.Text) {
		if !special[at] {
			n++
		}
	}
	return n
}

// Each calls f with the rows of a file that want names, in order. It gives the number of rows that the file has, negative
// where it has rows behind those.
func Each(ctx context.Context, file corpus.File, o corpus.Options, want Numbers, f func(Row) error) (of int, err error) {
	r, err := Open(ctx, file, o)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for n := 1; ; n++ {
		var row Row
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if n > want.last() || !want.has(n) {
			err = r.Skip()
		} else if row, err = r.Next(); err == nil {
			err = f(row)
		}
		switch {
		case err == io.EOF:
			return n - 1, nil
		case err != nil:
			return 0, err
		case n > want.last():
			return -1, nil
		}
	}
}
