package show

import (
	"slices"
	"strconv"

	"attune/data"
	"attune/data/chat"
	"attune/data/corpus"
	"attune/data/jinja"
)

// State is what the model does with a token.
type State int

// The states of a token.
const (
	Read    State = iota // the model sees it, and is not taught it
	Trained              // the model is taught it
	Lost                 // cut away: in no example of the run
)

// String is read, trained or cut.
func (s State) String() string { return [...]string{"read", "trained", "cut"}[s] }

// Token is one token of an example.
type Token struct {
	ID      int32
	Form    string // as the vocabulary writes it
	Span    chat.Span
	Weight  float32 // at which it is learnt
	State   State
	Special bool
	Origin  jinja.Origin
	Words   bool // it holds words of the row, those of Origin; otherwise the template or the tokenizer put it there
}

// Part is a run of an example's tokens that the model gets as one.
type Part struct{ From, To int }

// Example is one of the texts that a row is learnt from.
type Example struct {
	corpus.Made
	Tokens []Token
	Parts  []Part // what the model gets; two parts of a split one have a token in common
	Lines  []Line

	name string // "" where the row has only this one
}

// TrainedTokens is how many are learnt of what is left of the example.
func (e *Example) TrainedTokens() int {
	n := 0
	for _, p := range e.Cut.Examples {
		n += p.Trained()
	}
	return n
}

// example looks at the k-th example of a row that has of.
func (r *Reader) example(c data.Conversation, m corpus.Made, of, k int) Example {
	e := Example{Made: m}
	if of > 1 {
		e.name = "example " + strconv.Itoa(k+1) + " of " + strconv.Itoa(of)
	}
	if len(m.Cut.Examples)+m.Cut.Dropped == 0 { // refused: shown as it would be
		e.Cut.Examples, e.Cut.Starts = []data.Example{m.Example}, []int{0}
	}
	for i, p := range e.Cut.Examples {
		e.Parts = append(e.Parts, Part{e.Cut.Starts[i], e.Cut.Starts[i] + len(p.IDs)})
	}
	_, eos, hasEOS := r.o.Tokenizer.EOS()
	e.Tokens = make([]Token, len(m.Tokens.IDs))
	for i, id := range m.Tokens.IDs {
		t := Token{ID: id, Span: m.Tokens.Offsets[i], State: Lost, Special: r.o.Tokenizer.IsSpecial(id) || hasEOS && id == eos}
		t.Form, _ = r.o.Tokenizer.Token(id)
		t.Origin, t.Words = origin(m.Origins, t.Span)
		e.Tokens[i] = t
	}
	for i, p := range e.Cut.Examples {
		for j, w := range p.Weights {
			t := &e.Tokens[e.Parts[i].From+j]
			switch {
			case j > 0 && w != 0:
				t.State, t.Weight = Trained, w
			case t.State == Lost:
				t.State = Read
			}
		}
	}
	e.Lines = r.lines(c, &e)
	return e
}

// origin is where the words within a range of a text come from, the first of them if from several places.
func origin(origins []jinja.Span, in chat.Span) (jinja.Origin, bool) {
	k, _ := slices.BinarySearchFunc(origins, in.Start+1, func(s jinja.Span, at int) int { return s.End - at })
	if k < len(origins) && origins[k].Start < in.End {
		return origins[k].Origin, true
	}
	return jinja.Origin{}, false
}

// From says in words where a token comes from.
func (t *Token) From() string {
	switch {
	case !t.Words:
		return t.source()
	case t.Origin.Message < 0:
		return t.Origin.Field
	}
	return "messages[" + strconv.Itoa(t.Origin.Message) + "]." + t.Origin.Field
}

// source is who put a token there that holds no words of the row: one that stands for no bytes is the tokenizer's.
func (t *Token) source() string {
	if t.Span.Start == t.Span.End {
		return "tokenizer"
	}
	return "template"
}
