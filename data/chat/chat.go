// Package chat turns a conversation into what a model is trained on: the text its own chat template writes, which bytes
// of it are learnt, and the token ids with their weights.
//
// A turn is learnt from the first byte of its own content (thoughts and tool calls included) to the end of the first
// special token the template writes behind it. data/jinja remembers which output bytes came from which message, so these
// spans are exact, and special-token strings inside a message stay plain text.
package chat

import (
	"context"
	"errors"
	"time"

	"attune/data"
	"attune/data/jinja"
	"attune/data/tokenizer"
)

// Span is a half-open range of bytes of a rendered text.
type Span = tokenizer.Span

// Tokenizer is what chat needs of *tokenizer.Tokenizer.
type Tokenizer interface {
	Encode(text string, o tokenizer.Options) (tokenizer.Encoding, error)
	BOS() (string, int32, bool)
	EOS() (string, int32, bool)
	PAD() (string, int32, bool)
	UNK() (string, int32, bool)
	ID(token string) (int32, bool)
	SpecialTokens() []string
	PlainAddedTokens() []string
}

// RenderOptions says how a conversation is rendered. The zero value renders every turn and trains all of them.
type RenderOptions struct {
	// AddGenerationPrompt ends the text with the opening of an assistant turn, as generation wants it.
	AddGenerationPrompt bool
	// TrainOn is "all" (or "") for every assistant turn, "last" for the last one. A message's own Train wins over it.
	TrainOn string
	// System is put before a conversation that has no system message of its own; "" puts none.
	System string
	// Kwargs are further variables of the template, such as enable_thinking.
	Kwargs map[string]any
	// Now is what strftime_now reads; zero = the clock.
	Now time.Time
	// Context ends a rendering when it is done, with its error; nil = nothing does.
	Context context.Context
	// Specials are the variables bos_token, eos_token and so on; nil = those of the template's model directory.
	Specials map[string]string
	// SpecialTokens are the strings the tokenizer treats as special; one of them ends a turn.
	SpecialTokens []string
	// StopTokens are those of them at which generation stops, besides the end token.
	StopTokens []string

	special *tokenizer.Finder // of SpecialTokens, where they are a tokenizer's; nil = not made yet
}

// TrainedSpan is a range of a rendered text that is learnt, with the weight of its turn.
type TrainedSpan struct {
	Span
	Message int // index of the turn in the conversation; -1 in a row of plain text
	Weight  float32
}

// Rendering is a conversation as the template writes it.
type Rendering struct {
	Text    string
	Trained []TrainedSpan
	// Literal are the bytes that came from the row: special-token strings in them are plain text.
	Literal []Span
	// Origins say of the row's bytes which message and which field they came from; -1 is the tools' and the system prompt's.
	Origins []jinja.Span
	// Unserved: a trained turn stands behind another text here than generation would give the model; Openings say which.
	Unserved bool
	Openings []Opening
}

// Opening is how a trained turn begins where generation would begin it otherwise: both texts from just before the first
// difference on.
type Opening struct {
	Message         int
	Served, Trained string
}

// ErrNothingTrained is wrapped by the error about a row of which no token would be learnt.
var ErrNothingTrained = errors.New("no token of this row would be trained")

// Policy says what happens to an example longer than max_length.
type Policy string

// The values of data.overlength in the run file.
const (
	Refuse   Policy = "error"
	Truncate Policy = "truncate"
	Split    Policy = "split"
	Drop     Policy = "drop"
)

// CutResult is what became of one example: the examples to use instead, and what to count.
type CutResult struct {
	Examples    []data.Example
	Starts      []int // the token of the example that each of Examples begins with
	Kept        int   // 1 = it was short enough
	Cut         int   // 1 = truncated
	Split       int   // the number of parts, 0 = not split
	Dropped     int   // 1 = left out
	TrainedLost int   // trained tokens of the example that are in none of the parts
}
