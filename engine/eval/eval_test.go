package eval

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"attune/data"
	"attune/data/chat"
	"attune/data/pack"
	"attune/data/tokenizer"
	"attune/engine/model"
	"attune/engine/session"
	"attune/kernels"
)

// judge is a small random model with what its text needs. Its head is its own: with tied weights a random model only
// repeats the last token.
type judge struct {
	s        *session.Session
	tok      *tokenizer.Tokenizer
	template *chat.Template
	stops    []int32
}

func newJudge(t *testing.T) judge {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.New(dir, model.NewOptions{HiddenSize: 32, NumHiddenLayers: 2, Untied: true, Seed: 11}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var j judge
	if j.tok, err = tokenizer.Load(dir); err != nil {
		t.Fatal(err)
	}
	if j.template, err = chat.FromModel(dir); err != nil {
		t.Fatal(err)
	}
	if j.stops, err = j.template.Stops(j.tok, dir); err != nil {
		t.Fatal(err)
	}
	device, err := session.OpenDevice("cpu", 1)
	if err != nil {
		t.Fatal(err)
	}
	if j.s, err = session.New(session.Options{Device: device, Model: m, Dtype: kernels.Float32}); err != nil {
		t.Fatal(err)
	}
	if err := j.s.Place(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, free := range []func() error{j.s.Close, device.Close, m.Close} {
			if err := free(); err != nil {
				t.Error(err)
			}
		}
	})
	return j
}

// examples are three texts of different lengths, of which some tokens are trained.
func examples() []data.Example {
	var es []data.Example
	for i, n := range []int{5, 40, 17} {
		e := data.Example{Ordinal: i, IDs: make([]int32, n), Weights: make([]float32, n)}
		for j := range n {
			e.IDs[j] = int32((7*i + 3*j*j + 1) % 250)
			if j%3 != 0 {
				e.Weights[j] = 1
			}
		}
		es = append(es, e)
	}
	return es
}

// The mean loss is that of -ln softmax(logits) taken token by token through the cache, whatever the rows look like.
func TestMeanLossIsThatOfTheLogits(t *testing.T) {
	j := newJudge(t)
	es := examples()
	d, err := j.s.NewDecoder(64)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	n := 0
	for _, e := range es {
		d.Reset()
		for i := 0; i+1 < len(e.IDs); i++ {
			logits, err := d.Feed(e.IDs[i : i+1])
			if err != nil {
				t.Fatal(err)
			}
			if e.Weights[i+1] == 0 {
				continue
			}
			var z float64
			for _, x := range logits {
				z += math.Exp(float64(x))
			}
			sum += math.Log(z) - float64(logits[e.IDs[i+1]])
			n++
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	want := sum / float64(n)
	for _, micro := range []int{64, 128, 4096} {
		loss, tokens, err := MeanLoss(t.Context(), j.s, pack.PackEval(es, micro, pack.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if tokens != n || math.Abs(loss-want) > 1e-5*want {
			t.Errorf("rows of %d: loss %.7f over %d tokens, want %.7f over %d", micro, loss, tokens, want, n)
		}
	}
}

func TestMeanLossOfNothing(t *testing.T) {
	j := newJudge(t)
	if _, _, err := MeanLoss(t.Context(), j.s, nil); err == nil {
		t.Error("no rows have a loss")
	}
	e := data.Example{IDs: []int32{1, 2, 3}, Weights: make([]float32, 3)}
	if _, _, err := MeanLoss(t.Context(), j.s, pack.PackEval([]data.Example{e}, 64, pack.Options{})); err == nil {
		t.Error("rows without a trained token have a loss")
	}
}

// countdown is a context that is done after it was asked so often.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// Stopped between two batches, there is no loss: one over some of the rows would be another number.
func TestMeanLossStopsBetweenBatches(t *testing.T) {
	j := newJudge(t)
	batches := pack.PackEval(examples(), 64, pack.Options{})
	batches = append(batches, batches...)
	loss, tokens, err := MeanLoss(&countdown{t.Context(), 1}, j.s, batches)
	if !errors.Is(err, context.Canceled) || loss != 0 || tokens != 0 {
		t.Errorf("loss %g over %d tokens, %v", loss, tokens, err)
	}
	if _, _, err := MeanLoss(&countdown{t.Context(), len(batches)}, j.s, batches); err != nil {
		t.Errorf("asked once a batch: %v", err)
	}
}

func row(line int, question, answer string) data.Conversation {
	return data.Conversation{Position: data.Position{File: "rows.jsonl", Line: line}, Messages: []data.Message{
		{Role: "user", Content: question}, {Role: "assistant", Content: answer},
	}}
}

func (j judge) answers(t *testing.T, rows []data.Conversation) []Answer {
	t.Helper()
	as, err := Answers(t.Context(), j.s, j.template, j.tok, j.stops, rows, 12, 256, nil)
	if err != nil {
		t.Fatal(err)
	}
	return as
}

// A row whose answer is what the model says matches; one that differs does not; white space around either is no difference.
func TestMatch(t *testing.T) {
	j := newJudge(t)
	first := j.answers(t, []data.Conversation{row(1, "one", "?"), row(2, "two", "?")})
	for _, a := range first {
		if a.Match || strings.TrimSpace(a.Got) == "" {
			t.Fatalf("the model said %q to %q", a.Got, a.Prompt)
		}
	}
	// the same rows again, in another order and among others: each prompt is answered for itself
	again := j.answers(t, []data.Conversation{
		row(3, "a longer question that comes first", "?"), row(2, "two", "\n "+first[1].Got+"  "), row(1, "one", first[0].Got+"x"),
	})
	if !again[1].Match || again[1].Got != first[1].Got {
		t.Errorf("expected %q, got %q: no match", again[1].Expected, again[1].Got)
	}
	if again[2].Match || again[2].Got != first[0].Got {
		t.Errorf("expected %q, got %q: match", again[2].Expected, again[2].Got)
	}
	if again[0].Line != 3 || again[1].Prompt != "two" {
		t.Errorf("answers are not in the order of the rows: %+v", again)
	}
	if n := Matches(again); n != 1 {
		t.Errorf("%d matches", n)
	}
}

// The answer of a row is its last turn; what comes before is the prompt, an earlier answer included.
func TestOnlyTheLastTurnIsAsked(t *testing.T) {
	j := newJudge(t)
	long := row(1, "one", "first answer")
	long.Messages = append(long.Messages, data.Message{Role: "user", Content: "two"}, data.Message{Role: "assistant", Content: "expected"})
	a := j.answers(t, []data.Conversation{long})[0]
	if a.Prompt != "two" || a.Expected != "expected" {
		t.Errorf("%+v", a)
	}
	if len(long.Messages) != 4 {
		t.Error("the row was changed")
	}
	if short := j.answers(t, []data.Conversation{row(1, "two", "expected")})[0]; short.Got == a.Got {
		t.Errorf("the turns before make no difference: %q", a.Got)
	}
}

func TestRowsThatCannotBeAsked(t *testing.T) {
	j := newJudge(t)
	unanswered := row(4, "one", "x")
	unanswered.Messages = unanswered.Messages[:1]
	lonely := row(5, "one", "x")
	lonely.Messages = lonely.Messages[1:]
	tests := []struct {
		row  data.Conversation
		says string
	}{
		{unanswered, "rows.jsonl:4: no answer to compare with"},
		{lonely, "rows.jsonl:5: no answer to compare with"},
		{data.Conversation{Position: data.Position{File: "rows.jsonl", Line: 6}, Text: "plain"}, "rows.jsonl:6: no answer to compare with"},
		{row(7, strings.Repeat("x", 300), "y"), "tokens, the context 256"},
	}
	for _, tt := range tests {
		_, err := Answers(t.Context(), j.s, j.template, j.tok, j.stops, []data.Conversation{row(1, "a", "b"), tt.row}, 12, 256, nil)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("got %v, want %q", err, tt.says)
		}
	}
}

func TestProgressAndCancel(t *testing.T) {
	j := newJudge(t)
	rows := []data.Conversation{row(1, "a", "b"), row(2, "c", "d"), row(3, "e", "f")}
	ctx, cancel := context.WithCancel(t.Context())
	var done []int
	as, err := Answers(ctx, j.s, j.template, j.tok, j.stops, rows, 4, 256, func(n int) {
		if done = append(done, n); n == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || as != nil {
		t.Errorf("%v, %v", as, err)
	}
	if len(done) != 2 || done[0] != 1 || done[1] != 2 {
		t.Errorf("told %v", done)
	}
}
