package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"attune/data"
	"attune/data/jinja"
	"attune/data/tokenizer"
)

// Explained is an example with all that it was made from: the text, where its bytes came from, which of them are learnt,
// and which of them each token covers.
type Explained struct {
	Rendering
	Tokens  tokenizer.Encoding // of Text; a row of plain text has the document end behind it
	Example data.Example
}

// Explain is EncodeAll with its reasons: one Explained for each example, and the same errors.
func (t *Template) Explain(tok Tokenizer, conv data.Conversation, o RenderOptions) ([]Explained, error) {
	all, err := t.explain(tok, conv, o)
	if err != nil {
		return nil, at(conv.Position, err)
	}
	return all, nil
}

func (t *Template) explain(tok Tokenizer, conv data.Conversation, o RenderOptions) ([]Explained, error) {
	f := t.about(tok)
	if len(conv.Messages) == 0 {
		e, err := f.document(conv)
		if err != nil {
			return nil, err
		}
		return []Explained{e}, nil
	}
	if t == nil {
		return nil, errNoTemplate
	}
	rs, err := t.RenderAll(conv, f.fill(o))
	if err != nil {
		return nil, err
	}
	var out []Explained
	for _, r := range rs {
		if len(r.Trained) == 0 {
			continue
		}
		enc, err := f.encode(r)
		if err != nil {
			return nil, err
		}
		e := Explained{Rendering: r, Tokens: enc, Example: data.Example{Position: conv.Position, IDs: enc.IDs, Weights: weights(r, enc)}}
		if e.Example.Trained() > 0 {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNothingTrained, nothing(conv.Messages, o.TrainOn))
	}
	return out, nil
}

// nothing says why no turn of a conversation is learnt, and what to do.
func nothing(messages []data.Message, trainOn string) string {
	last := -1
	var why []string // each kind once; "" = a turn that would be
	for i, m := range messages {
		if m.Role == "assistant" {
			last, why = i, append(why, leftOut(m))
		}
	}
	slices.Sort(why)
	switch why = slices.Compact(why); {
	case last < 0:
		return "it has no assistant turn; add the answer or remove the row"
	case trainOn == "last" && leftOut(messages[last]) != "":
		return fmt.Sprintf("train_on is last, and the last assistant turn, messages[%d], says %s; change one of the two, or remove the row", last, leftOut(messages[last]))
	case why[0] != "":
		return fmt.Sprintf("each assistant turn says %s; take that out of one, or remove the row", strings.Join(why, " or "))
	}
	return "the template leaves no token to its assistant turns alone; remove the row, or set template to another"
}

// leftOut is what a message says so as not to be learnt, "" = nothing.
func leftOut(m data.Message) string {
	switch {
	case m.Train != nil && !*m.Train:
		return "train: false"
	case m.Weight != nil && float32(*m.Weight) == 0:
		return fmt.Sprintf("weight: %g", *m.Weight)
	}
	return ""
}

// weights says how strongly each token of a rendering is learnt. One is learnt if its first byte lies in a trained span,
// or if it carries the span's first byte and white space that the template wrote before it: the tokens of many models
// begin with a blank. One that covers a byte of another message is not.
func weights(r Rendering, enc tokenizer.Encoding) []float32 {
	w := make([]float32, len(enc.IDs))
	spans := r.Trained
	for i, b := range enc.Offsets {
		for len(spans) > 0 && b.Start >= spans[0].End {
			spans = spans[1:]
		}
		if len(spans) == 0 {
			break
		}
		s := spans[0]
		if b.Start < s.Start && (b.End <= s.Start || strings.TrimSpace(r.Text[b.Start:s.Start]) != "") {
			continue
		}
		if _, ok := foreign(r.Origins, s.Message, b); !ok {
			w[i] = s.Weight
		}
	}
	return w
}

// document encodes a row of plain text for continued pretraining.
func (f *facts) document(conv data.Conversation) (Explained, error) {
	_, eos, ok := f.tok.EOS()
	if !ok {
		return Explained{}, errors.New("the tokenizer names no end token to put behind a text; set eos_token in tokenizer_config.json")
	}
	whole := Span{Start: 0, End: len(conv.Text)}
	e := Explained{Rendering: Rendering{Text: conv.Text, Literal: []Span{whole}, Trained: []TrainedSpan{{Span: whole, Message: noMessage, Weight: 1}},
		Origins: []jinja.Span{{Start: 0, End: len(conv.Text), Origin: jinja.Origin{Message: noMessage, Field: fieldText}}}}}
	enc, err := f.tok.Encode(conv.Text, tokenizer.Options{AddSpecial: true, Literal: f.literal(conv.Text, e.Literal)})
	if err != nil {
		return Explained{}, fmt.Errorf("encode: %w", err)
	}
	if n := len(enc.IDs); n == 0 || enc.IDs[n-1] != eos {
		enc.IDs = append(enc.IDs, eos)
		enc.Offsets = append(enc.Offsets, Span{Start: whole.End, End: whole.End})
	}
	e.Tokens = enc
	e.Example = data.Example{Position: conv.Position, IDs: enc.IDs, Weights: make([]float32, len(enc.IDs))}
	for i := range e.Example.Weights {
		e.Example.Weights[i] = 1
	}
	if e.Example.Trained() == 0 {
		return Explained{}, fmt.Errorf("%w: its text is empty; remove it", ErrNothingTrained)
	}
	return e, nil
}
