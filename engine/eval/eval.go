// Package eval judges a model on held-out rows: the mean loss of their trained tokens, and how many answers, generated
// greedily, are exactly the ones the rows have.
package eval

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"attune/data"
	"attune/data/chat"
	"attune/data/source"
	"attune/data/tokenizer"
	"attune/engine/generate"
	"attune/engine/session"
)

// MeanLoss is the sum of the batches' nll over the number of their trained tokens; their weights are 1. When ctx is done
// it stops before the next batch, with ctx's error: a loss over some of the rows is none.
func MeanLoss(ctx context.Context, s *session.Session, batches []data.Batch) (loss float64, tokens int, err error) {
	return MeanLossOf(ctx, s, func(yield func(data.Batch, error) bool) {
		for _, b := range batches {
			if !yield(b, nil) {
				return
			}
		}
	})
}

// MeanLossOf is MeanLoss of batches that are made one by one; it ends with their error.
func MeanLossOf(ctx context.Context, s *session.Session, batches iter.Seq2[data.Batch, error]) (loss float64, tokens int, err error) {
	var sum float64
	for b, err := range batches {
		if err = errors.Join(ctx.Err(), err); err != nil {
			return 0, 0, err
		}
		nll, err := s.Loss(b)
		if err != nil {
			return 0, 0, err
		}
		sum += nll
		tokens += b.Trained
	}
	if tokens == 0 {
		return 0, 0, errors.New("the held-out rows have no trained token")
	}
	return sum / float64(tokens), tokens, nil
}

// Answer is one row's last assistant turn beside what the model says in its place.
type Answer struct {
	Line     int    `json:"line"`
	Prompt   string `json:"prompt"` // the user turn before it
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Match    bool   `json:"match"` // equal but for outer white space
	Stopped  bool   `json:"stopped"`
}

// Answers generates the last assistant turn of every conversation greedily, at most maxNew tokens each. A row that
// does not end with one is a *source.RowError.
func Answers(ctx context.Context, s *session.Session, t *chat.Template, tok *tokenizer.Tokenizer, stops []int32, rows []data.Conversation, maxNew, window int, progress func(done int)) ([]Answer, error) {
	var prompts [][]int32
	var answers []Answer
	longest := 0
	for _, c := range rows {
		n := len(c.Messages) - 1
		if n < 1 || c.Messages[n].Role != "assistant" {
			return nil, &source.RowError{Position: c.Position, What: "no answer to compare with", Do: "a row must end with the assistant's turn"}
		}
		asked := c
		asked.Messages = c.Messages[:n]
		ids, err := t.EncodePrompt(tok, asked, chat.EncodeOptions{})
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", c.File, c.Line, err)
		}
		prompts = append(prompts, ids)
		answers = append(answers, Answer{Line: c.Line, Prompt: c.Messages[n-1].Content, Expected: c.Messages[n].Content})
		longest = max(longest, len(ids))
	}
	if longest > window {
		return nil, fmt.Errorf("the longest prompt has %d tokens, the context %d", longest, window)
	}
	d, err := s.NewDecoder(min(longest+maxNew, window))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for i := range answers {
		r, err := generate.Run(ctx, d, tok, prompts[i], generate.Options{MaxNewTokens: maxNew, Stops: stops})
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a := &answers[i]
		a.Got, a.Stopped = r.Text, r.StopReason == generate.StopEnd
		a.Match = strings.TrimSpace(a.Got) == strings.TrimSpace(a.Expected)
		if progress != nil {
			progress(i + 1)
		}
	}
	return answers, nil
}

// Matches counts the answers that are right.
func Matches(answers []Answer) int {
	n := 0
	for _, a := range answers {
		if a.Match {
			n++
		}
	}
	return n
}
