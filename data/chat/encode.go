package chat

import (
	"errors"
	"fmt"
	"strings"

	"attune/data"
	"attune/data/tokenizer"
)

// EncodeAll turns a conversation into the examples it is trained as: one, or several where the template rewrites earlier
// turns. A row of plain text is trained token by token, with the tokenizer's own begin token and its end token; it needs
// no template, and t may be nil. Errors name file and line; one about a row of which nothing is learnt wraps
// ErrNothingTrained.
func (t *Template) EncodeAll(tok Tokenizer, conv data.Conversation, o EncodeOptions) ([]data.Example, error) {
	examples, err := t.encodeAll(tok, conv, o)
	if err != nil {
		return nil, at(conv.Position, err)
	}
	return examples, nil
}

// at puts file and line before an error.
func at(p data.Position, err error) error {
	if p.File == "" {
		return err
	}
	return fmt.Errorf("%s:%d: %w", p.File, p.Line, err)
}

func (t *Template) encodeAll(tok Tokenizer, conv data.Conversation, o EncodeOptions) ([]data.Example, error) {
	f := t.about(tok)
	if len(conv.Messages) == 0 {
		e, err := f.document(conv, o)
		if err != nil {
			return nil, err
		}
		return []data.Example{e}, nil
	}
	if t == nil {
		return nil, errNoTemplate
	}
	rs, err := t.RenderAll(conv, f.fill(o.RenderOptions))
	if err != nil {
		return nil, err
	}
	var out []data.Example
	for _, r := range rs {
		if len(r.Trained) == 0 {
			continue
		}
		e, err := f.example(conv.Position, r, o)
		if err != nil {
			return nil, err
		}
		if e.Trained() > 0 {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: it has no assistant turn, or none that is to be trained; remove it, or see train_on", ErrNothingTrained)
	}
	return out, nil
}

// example encodes a rendering. A token is learnt if its first byte lies in a trained span, or if it carries the span's
// first byte and white space that the template wrote before it: the tokens of many models begin with a blank.
func (f *facts) example(p data.Position, r Rendering, o EncodeOptions) (data.Example, error) {
	enc, err := f.encode(r, o)
	if err != nil {
		return data.Example{}, err
	}
	e := data.Example{Position: p, IDs: enc.IDs, Weights: make([]float32, len(enc.IDs))}
	spans := r.Trained
	for i, b := range enc.Offsets {
		for len(spans) > 0 && b.Start >= spans[0].End {
			spans = spans[1:]
		}
		if len(spans) == 0 {
			break
		}
		s := spans[0]
		if b.Start >= s.Start || b.End > s.Start && strings.TrimSpace(r.Text[b.Start:s.Start]) == "" {
			e.Weights[i] = s.Weight
		}
	}
	return e, nil
}

// encode turns a rendering into ids. The template writes begin tokens itself.
func (f *facts) encode(r Rendering, o EncodeOptions) (tokenizer.Encoding, error) {
	opts := tokenizer.Options{}
	if !o.ParseSpecial {
		opts.Literal = f.literal(r.Text, r.Literal)
	}
	enc, err := f.tok.Encode(r.Text, opts)
	if err != nil {
		return enc, fmt.Errorf("encode: %w", err)
	}
	return enc, nil
}

// document encodes a row of plain text for continued pretraining.
func (f *facts) document(conv data.Conversation, o EncodeOptions) (data.Example, error) {
	e := data.Example{Position: conv.Position}
	_, eos, ok := f.tok.EOS()
	if !ok {
		return e, errors.New("the tokenizer names no end token to put behind a text; set eos_token in tokenizer_config.json")
	}
	opts := tokenizer.Options{AddSpecial: true}
	if !o.ParseSpecial {
		opts.Literal = f.literal(conv.Text, []Span{{Start: 0, End: len(conv.Text)}})
	}
	enc, err := f.tok.Encode(conv.Text, opts)
	if err != nil {
		return e, fmt.Errorf("encode: %w", err)
	}
	e.IDs = enc.IDs
	if n := len(e.IDs); n == 0 || e.IDs[n-1] != eos {
		e.IDs = append(e.IDs, eos)
	}
	e.Weights = make([]float32, len(e.IDs))
	for i := range e.Weights {
		e.Weights[i] = 1
	}
	if e.Trained() == 0 {
		return e, fmt.Errorf("%w: its text is empty; remove it", ErrNothingTrained)
	}
	return e, nil
}

// EncodePrompt gives the ids of a conversation with the opening of an assistant turn behind it, as generation wants it.
func (t *Template) EncodePrompt(tok Tokenizer, conv data.Conversation, o EncodeOptions) ([]int32, error) {
	if t == nil {
		return nil, at(conv.Position, errNoTemplate)
	}
	f := t.about(tok)
	o.AddGenerationPrompt = true
	r, err := t.Render(conv, f.fill(o.RenderOptions))
	if err != nil {
		return nil, at(conv.Position, err)
	}
	enc, err := f.encode(r, o)
	if err != nil {
		return nil, at(conv.Position, err)
	}
	return enc.IDs, nil
}
