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
	over       int // rows of which something would be cut or left out, or that are refused as too long
	longest    int // tokens of the longest example before it was cut
	turns      int // trained
	unserved   int // of these, those that generation would begin otherwise
	opening    chat.Opening
	rewritten  several // rows with earlier turns in examples of their own
	turnEnds   int     // trained tokens that end a turn, in rows that are no plain text
	padTrained int     // trained tokens that are the padding token and end nothing
	padIn      int     // examples with such
}

// several counts rows that became more than one example.
type several struct{ rows, examples, tokens int }

// see counts what a row was made into, before it is cut.
func (t *tally) see(made []Made, o Options) {
	over, tokens := false, 0
	for _, m := range made {
		n := len(m.Example.IDs)
		t.longest = max(t.longest, n)
		tokens += n
		over = over || o.MaxLength > 0 && n > o.MaxLength && o.Overlength != chat.Split
		for i, s := range m.Trained {
			if i == 0 || s.Message != m.Trained[i-1].Message {
				t.turns++
			}
		}
		if m.Unserved {
			if t.unserved == 0 {
				t.opening = m.Openings[0]
			}
			t.unserved += len(m.Openings)
		}
	}
	if over {
		t.over++
	}
	if len(made) > 1 {
		t.rewritten.rows++
		t.rewritten.examples += len(made)
		t.rewritten.tokens += tokens
	}
}

// trained counts the special tokens that an example teaches; text = it is of a row of plain text.
func (b *builder) trained(e data.Example, text bool) {
	_, pad, padded := b.o.Tokenizer.PAD()
	if _, eos, ok := b.o.Tokenizer.EOS(); ok && eos == pad || slices.Contains(b.o.Stops, pad) {
		padded = false // by the model's own files it also ends a turn or a text, and is trained there
	}
	n := 0
	for i := 1; i < len(e.IDs); i++ {
		switch id := e.IDs[i]; {
		case e.Weights[i] == 0:
		case slices.Contains(b.o.Stops, id):
			b.report.StopsTrained++
			if !text {
				b.turnEnds++
			}
		case padded && id == pad:
			n++
		case slices.Contains(b.o.Ends, id) && !text:
			b.turnEnds++
		}
	}
	if b.padTrained += n; n > 0 {
		b.padIn++
	}
}

// check is what must hold of a file as a whole. Where it holds of every file it holds of the run.
func (b *builder) check() error {
	b.note()
	r := &b.report
	refuse := func(do, format string, args ...any) error {
		return &source.RowError{Position: data.Position{File: r.Path}, What: fmt.Sprintf(format, args...), Do: do}
	}
	switch {
	case r.TrainedTokens == 0:
		return refuse(b.raise(), "nothing is left to train on: %s", b.share())
	case b.padTrained > 0:
		token, id, _ := b.o.Tokenizer.PAD()
		return refuse("set pad_token in tokenizer_config.json to a token that no text uses, or take it out of the rows or the template",
			"the padding token %q (id %d) is trained %d times in %d of %d examples, and other trainers and servers take it for nothing", token, id, b.padTrained, b.padIn, r.Examples)
	case b.turnEnds == 0 && b.texts < r.Rows:
		return b.endless(refuse)
	case b.o.MaxCutShare != nil && float64(b.over)/float64(max(1, r.Rows)) > *b.o.MaxCutShare:
		return refuse(fmt.Sprintf("%s, set %s to split, or raise data.max_cut_share", b.raise(), b.o.Names.Overlength), "%s, more than data.max_cut_share %g allows", b.share(), *b.o.MaxCutShare)
	}
	return nil
}

// endless says why no answer's end is trained. One at which the model's own files do not stop is trained and doubted: a base
// model learns to end its turns before its files say so.
func (b *builder) endless(refuse func(do, format string, args ...any) error) error {
	what := fmt.Sprintf("no end-of-turn token is ever trained in %d examples, so the model would not learn to stop", b.report.Examples)
	if b.over > 0 {
		return refuse(b.raise(), "%s: %s", what, b.share())
	}
	return refuse("set template to the one the model was made for", "%s", what)
}

// share says how many rows are too long.
func (b *builder) share() string {
	return fmt.Sprintf("%d of %d rows (%.3g %%) would be cut or left out (%s: %s)", b.over, b.report.Rows, 100*float64(b.over)/float64(max(1, b.report.Rows)), b.o.Names.Overlength, b.o.Overlength)
}

// raise is the cure of that.
func (b *builder) raise() string {
	return fmt.Sprintf("raise %s from %d (the longest row has %d tokens)", b.o.Names.MaxLength, b.o.MaxLength, b.longest)
}

// note puts what is odd about the file as a whole before what is odd about its rows.
func (b *builder) note() {
	var notes []string
	add := func(format string, args ...any) {
		w := source.Warning{Position: data.Position{File: b.report.Path}, What: fmt.Sprintf(format, args...)}
		notes = append(notes, w.String())
	}
	if b.texts < b.report.Rows {
		for _, d := range b.o.Doubts {
			add("%s; %s", d.What, d.Do)
		}
	}
	if b.unserved > 0 {
		add("%d of %d trained turns would be generated behind another text than they are trained behind: %q, but trained %q", b.unserved, b.turns, b.opening.Served, b.opening.Trained)
	}
	if s := b.rewritten; s.rows > 0 {
		add("%d of %d rows become %d examples of %d tokens: the template writes earlier turns otherwise once others follow, so each is learnt in an example of its own, as it is served", s.rows, b.report.Rows, s.examples, s.tokens)
	}
	b.report.Warnings += len(notes)
	b.report.Odd = append(notes, b.report.Odd...)
}
