package corpus

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"attune/data"
	"attune/data/chat"
	"attune/data/jinja"
	"attune/data/source"
)

// Made is one example of a row: what it was made from, and what was made of it where it is too long.
type Made struct {
	chat.Explained
	Cut chat.CutResult
}

// Make turns a file's row number n, from 1, into examples, in the order in which they are learnt from. What is wrong with
// the row is a *source.RowError; the examples that it does have come with it, those that cannot be used with a zero Cut.
// Without a template, a row that needs one gives NoTemplate; once o.Context is done, its error is all there is.
func (o Options) Make(n int, c data.Conversation) ([]Made, error) {
	if c.Messages != nil && o.Template == nil {
		return nil, o.NoTemplate // no row can be rendered: one complaint is enough
	}
	all, err := o.Template.Explain(o.Tokenizer, c, o.Render(n))
	if o.Context != nil && o.Context.Err() != nil {
		return nil, o.Context.Err()
	}
	if err != nil {
		return nil, complaint(c.Position, err)
	}
	made := make([]Made, len(all))
	for i, e := range all {
		made[i].Explained = e
		cut, bad := o.cut(e.Example)
		if bad != nil && err == nil {
			err = complaint(c.Position, bad)
		}
		made[i].Cut = cut
	}
	return made, err
}

// cut is the example in parts that are short enough for the run and the model.
func (o Options) cut(e data.Example) (chat.CutResult, error) {
	cut, err := chat.Cut(e, o.MaxLength, o.Overlength, o.Names)
	for _, part := range cut.Examples {
		if err == nil {
			err = o.fits(part)
		}
	}
	if err != nil {
		return chat.CutResult{}, err
	}
	return cut, nil
}

// fits says what the model cannot read of an example.
func (o Options) fits(e data.Example) error {
	names := o.Names.OrKeys()
	if w := o.Window; w > 0 && len(e.IDs) > w {
		return &source.RowError{Position: e.Position, What: fmt.Sprintf("%d tokens, but the model was made for %d (max_position_embeddings)", len(e.IDs), w),
			Do: fmt.Sprintf("set %s, which is %d, to at most %d", names.MaxLength, o.MaxLength, w)}
	}
	if o.VocabSize == 0 || len(e.IDs) == 0 {
		return nil
	}
	if id := slices.Max(e.IDs); int(id) >= o.VocabSize {
		token, _ := o.Tokenizer.Token(id)
		return &source.RowError{Position: e.Position, What: fmt.Sprintf("token %q has the id %d, but the model's vocab_size is %d", token, id, o.VocabSize),
			Do: "take the tokenizer the model was made with, or give the model rows for its new tokens"}
	}
	return nil
}

// endless says that a template did not end on a row within its bounds, or a value in it is beyond them. What it does there it
// may do at every row, each time for as long.
func endless(err error) bool {
	var t *jinja.Error
	return errors.As(err, &t) && t.Kind == jinja.Limit
}

// complaint gives an error the position of its row, unless it has one.
func complaint(at data.Position, err error) error {
	var row *source.RowError
	if errors.As(err, &row) {
		return row
	}
	what, do, ok := strings.Cut(err.Error(), "; ")
	if !ok {
		do = ""
	}
	what = strings.TrimPrefix(what, fmt.Sprintf("%s:%d: ", at.File, at.Line))
	return &source.RowError{Position: at, What: what, Do: do, Err: err}
}
