// Package generate continues a text token by token: greedy or by sampling, until an end-of-turn token or a limit.
package generate

import (
	"context"
	"fmt"
	"slices"

	"attune/data/tokenizer"
	"attune/engine/session"
)

// Why a generation ended.
const (
	StopEnd    = "end_of_turn"
	StopLength = "max_new_tokens"
	StopFull   = "context_full"
	StopCancel = "cancelled"
)

// Options of one generation.
type Options struct {
	Sampling
	MaxNewTokens int
	Stops        []int32 // ids that end the turn; empty = none does
	// Continue keeps what the decoder has of the prompt's beginning, as a conversation's next turn wants. Without it the
	// prompt is computed whole, so that the result depends on nothing before it to the last bit.
	Continue bool
	// OnText gets the text as it grows, whole characters at a time; nil = not.
	OnText func(string)
}

// Result is one generation. NewIDs include the end-of-turn token where there was one, Text does not.
type Result struct {
	PromptIDs  []int32 `json:"prompt_ids"`
	NewIDs     []int32 `json:"new_ids"`
	Text       string  `json:"text"`
	StopReason string  `json:"stop_reason"`
}

// Run feeds the prompt's ids and draws tokens. When ctx is done it returns what there is.
func Run(ctx context.Context, d *session.Decoder, tok *tokenizer.Tokenizer, prompt []int32, o Options) (Result, error) {
	r := Result{PromptIDs: prompt, NewIDs: []int32{}, StopReason: StopLength}
	if len(prompt) == 0 {
		return r, fmt.Errorf("generate: the prompt has no tokens; with --raw and a tokenizer without a begin token it must not be empty")
	}
	if len(prompt) > d.Rows() {
		return r, fmt.Errorf("generate: the prompt has %d tokens, the context %d", len(prompt), d.Rows())
	}
	rest := prompt
	if o.Continue {
		rest = d.Keep(prompt)
	} else {
		d.Reset()
	}
	logits, err := d.Feed(rest)
	if err != nil {
		return r, err
	}
	draw, text := newSampler(o.Sampling), tok.NewStream(true)
	emit := func(s string) {
		r.Text += s
		if o.OnText != nil && s != "" {
			o.OnText(s)
		}
	}
	for len(r.NewIDs) < o.MaxNewTokens {
		if ctx.Err() != nil {
			r.StopReason = StopCancel
			break
		}
		id := draw.next(logits)
		r.NewIDs = append(r.NewIDs, id)
		if slices.Contains(o.Stops, id) {
			r.StopReason = StopEnd
			break
		}
		emit(text.Push(id))
		if len(r.NewIDs) == o.MaxNewTokens {
			break
		}
		if d.Len() == d.Rows() {
			r.StopReason = StopFull
			break
		}
		if logits, err = d.Feed([]int32{id}); err != nil {
			return r, err
		}
	}
	emit(text.Flush())
	return r, nil
}
