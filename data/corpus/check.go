package corpus

import (
	"fmt"
	"slices"

	"attune/data"
	"attune/data/chat"
	"attune/data/source"
)

// tally counts what check needs to know of a file and its report does not say.
type tally struct {
	texts      int // rows of plain text
	cutRows    int // rows of which something was cut or left out
	longest    int // tokens of the longest example before it was cut
	turns      int // trained
	unserved   int // of these, those that generation would begin otherwise
	opening    chat.Opening
	padTrained int // trained tokens that are the padding token and end nothing
	padIn      int // examples with such
}

// see counts an example before it is cut.
func (t *tally) see(e chat.Explained) {
	t.longest = max(t.longest, len(e.Example.IDs))
	for i, s := range e.Trained {
		if i == 0 || s.Message != e.Trained[i-1].Message {
			t.turns++
		}
	}
	if e.Unserved {
		if t.unserved == 0 {
			t.opening = e.Openings[0]
		}
		t.unserved += len(e.Openings)
	}
}

// trained counts the special tokens that an example teaches.
func (b *builder) trained(e data.Example) {
	_, pad, padded := b.o.Tokenizer.PAD()
	if _, eos, ok := b.o.Tokenizer.EOS(); ok && eos == pad || slices.Contains(b.o.Stops, pad) {
		padded = false // it also ends a turn or a text, and is trained there
	}
	n := 0
	for i := 1; i < len(e.IDs); i++ {
		switch id := e.IDs[i]; {
		case e.Weights[i] == 0:
		case slices.Contains(b.o.Stops, id):
			b.report.StopsTrained++
		case padded && id == pad:
			n++
		}
	}
	if b.padTrained += n; n > 0 {
		b.padIn++
	}
}

// check is what must hold of a file as a whole. Where it holds of every file it holds of the run.
func (b *builder) check() error {
	r, at := &b.report, data.Position{File: b.report.Path}
	if b.unserved > 0 {
		r.Warnings++
		w := source.Warning{Position: at, What: fmt.Sprintf("%d of %d trained turns would be generated behind another text than they are trained behind: %q, but trained %q",
			b.unserved, b.turns, b.opening.Served, b.opening.Trained)}
		r.Odd = append([]string{w.String()}, r.Odd...)
	}
	share := float64(b.cutRows) / float64(max(1, r.Rows))
	switch {
	case r.TrainedTokens == 0:
		return &source.RowError{Position: at, What: fmt.Sprintf("none of the %d tokens would be trained (%d rows cut, %d dropped)", r.Tokens, r.Cut, r.Dropped),
			Do: "raise " + b.o.Names.MaxLength + ", or look at the rows"}
	case r.StopsTrained == 0 && b.texts < r.Rows:
		return &source.RowError{Position: at, What: fmt.Sprintf("no end-of-turn token is ever trained in %d examples, so the model would not learn to stop", r.Examples),
			Do: "set template to the one the model was made for, or raise " + b.o.Names.MaxLength}
	case b.padTrained > 0:
		token, id, _ := b.o.Tokenizer.PAD()
		return &source.RowError{Position: at, What: fmt.Sprintf("the padding token %q (id %d) is trained %d times in %d of %d examples, and other trainers and servers take it for nothing", token, id, b.padTrained, b.padIn, r.Examples),
			Do: "set pad_token in tokenizer_config.json to a token that no text uses, or take it out of the rows"}
	case b.o.MaxCutShare != nil && share > *b.o.MaxCutShare:
		return &source.RowError{Position: at, What: fmt.Sprintf("%d of %d rows (%.3g %%) would be cut or left out (%s: %s), more than data.max_cut_share %g allows",
			b.cutRows, r.Rows, 100*share, b.o.Names.Overlength, b.o.Overlength, *b.o.MaxCutShare),
			Do: fmt.Sprintf("raise %s from %d (the longest row has %d tokens), set %s to split, or raise data.max_cut_share", b.o.Names.MaxLength, b.o.MaxLength, b.longest, b.o.Names.Overlength)}
	}
	return nil
}
