package chat

import (
	"fmt"

	"attune/data"
	"attune/data/tokenizer"
)

// EncodeAll turns a conversation into the examples it is trained as: one, or several where the template rewrites earlier
// turns. A row of plain text is trained token by token, with the tokenizer's own begin token and its end token; it needs
// no template, and t may be nil. Errors name file and line; one about a row of which nothing is learnt wraps
// ErrNothingTrained.
func (t *Template) EncodeAll(tok Tokenizer, conv data.Conversation, o RenderOptions) ([]data.Example, error) {
	all, err := t.Explain(tok, conv, o)
	if err != nil {
		return nil, err
	}
	examples := make([]data.Example, len(all))
	for i, e := range all {
		examples[i] = e.Example
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

// encode turns a rendering into ids: special-token strings within the row's words stay plain text, and the template writes begin
// tokens itself.
func (f *facts) encode(r Rendering) (tokenizer.Encoding, error) {
	enc, err := f.tok.Encode(r.Text, tokenizer.Options{Literal: f.literal(r.Text, r.Literal)})
	if err != nil {
		return enc, fmt.Errorf("encode: %w", err)
	}
	return enc, nil
}

// EncodePrompt gives the ids of a conversation with the opening of an assistant turn behind it, as generation wants it.
func (t *Template) EncodePrompt(tok Tokenizer, conv data.Conversation, o RenderOptions) ([]int32, error) {
	if t == nil {
		return nil, at(conv.Position, errNoTemplate)
	}
	f := t.about(tok)
	o.AddGenerationPrompt = true
	r, err := t.Render(conv, f.fill(o))
	if err != nil {
		return nil, at(conv.Position, err)
	}
	enc, err := f.encode(r)
	if err != nil {
		return nil, at(conv.Position, err)
	}
	return enc.IDs, nil
}
