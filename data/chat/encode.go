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
func (t *Template) EncodeAll(tok Tokenizer, conv data.Conversation, o EncodeOptions) ([]data.Example, error) {
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
