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

// MeanLoss is the sum of the batches' nll over the number of their trained tokens; their weights are 1. It ends with an
// error of batches. When ctx is done it stops between two kernels, with ctx's error: a loss over some of the rows is none.
func MeanLoss(ctx context.Context, s *session.Session, batches iter.Seq2[data.Batch, error]) (loss float64, tokens int, err error) {
	var sum float64
	for b, err := range batches {
		if err = errors.Join(ctx.Err(), err); err != nil {
			return 0, 0, err
		}
		nll, err := s.Loss(ctx, b)
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

// Question is a row's conversation up to its last assistant turn, and that turn.
type Question struct {
	data.Position
	Prompt   string // the user turn before it
	Expected string
	IDs      []int32 // of the conversation, up to where the answer begins
}

// Ask takes the last assistant turn off a conversation and renders the rest as o says.
// A row that does not end with an assistant turn, or whose prompt is longer than window tokens, is a *source.RowError.
func Ask(t *chat.Template, tok *tokenizer.Tokenizer, c data.Conversation, o chat.RenderOptions, window int) (Question, error) {
	n := len(c.Messages) - 1
	if n < 1 || c.Messages[n].Role != "assistant" {
		return Question{}, &source.RowError{Position: c.Position, What: "no answer to compare with", Do: "a row must end with the assistant's turn"}
	}
	q := Question{Position: c.Position, Prompt: c.Messages[n-1].Content, Expected: c.Messages[n].Content}
	c.Messages = c.Messages[:n]
	var err error
	if q.IDs, err = t.EncodePrompt(tok, c, o); err != nil {
		return q, err
	}
	if len(q.IDs) > window {
		return q, &source.RowError{Position: c.Position, What: fmt.Sprintf("the prompt has %d tokens, the context %d", len(q.IDs), window), Do: "leave the row out"}
	}
	return q, nil
}

// Answer is what a model says where a row has its last assistant turn.
type Answer struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Prompt   string `json:"prompt"` // the user turn before it
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Match    bool   `json:"match"` // equal but for outer white space
	Stopped  bool   `json:"stopped"`
}

// AnswerOptions bound what Answers generates.
type AnswerOptions struct {
	Stops        []int32 // ids that end an answer
	MaxNewTokens int     // of one answer
	Window       int     // most tokens of prompt and answer together
	Progress     func(done int)
}

// Room is what the longest of questions takes: tokens of prompt and answer, and of the prompt alone.
func (o AnswerOptions) Room(questions []Question) (rows, prompt int) {
	for _, q := range questions {
		prompt = max(prompt, len(q.IDs))
	}
	return prompt + min(o.MaxNewTokens, o.Window-prompt), prompt
}

// Answers answers questions greedily.
func Answers(ctx context.Context, s *session.Session, tok *tokenizer.Tokenizer, questions []Question, o AnswerOptions) ([]Answer, error) {
	rows, _ := o.Room(questions)
	d, err := s.NewDecoder(rows)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var answers []Answer
	for i, q := range questions {
		r, err := generate.Run(ctx, d, tok, q.IDs, generate.Options{MaxNewTokens: o.MaxNewTokens, Stops: o.Stops})
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		answers = append(answers, Answer{File: q.File, Line: q.Line, Prompt: q.Prompt, Expected: q.Expected, Got: r.Text,
			Match: strings.TrimSpace(r.Text) == strings.TrimSpace(q.Expected), Stopped: r.StopReason == generate.StopEnd})
		if o.Progress != nil {
			o.Progress(i + 1)
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
