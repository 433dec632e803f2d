package eval

import (
	"context"
	"errors"
	"iter"
	"math"
	"strings"
	"testing"

	"attune/data"
	"attune/data/chat"
	"attune/data/loader"
	"attune/data/tokenizer"
	"attune/engine/session"
	"attune/engine/session/sessiontest"
)

// judge is a small random model with what its text needs.
type judge struct {
	s        *session.Session
	tok      *tokenizer.Tokenizer
	template *chat.Template
	stops    []int32
}

func newJudge(t *testing.T) (j judge) {
	t.Helper()
	s, dir := sessiontest.Random(t)
	j.s = s
	var err error
	if j.tok, err = tokenizer.Load(dir); err != nil {
		t.Fatal(err)
	}
	if j.template, err = chat.FromModel(dir); err != nil {
		t.Fatal(err)
	}
	if j.stops, err = j.template.Stops(j.tok, dir); err != nil {
		t.Fatal(err)
	}
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

// rows packs examples as the held-out rows of a run.
func rows(es []data.Example, micro int) iter.Seq2[data.Batch, error] {
	return loader.NewHeld([]*loader.Set{loader.SetOf(es)}, micro, 0).Batches()
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
		loss, tokens, err := MeanLoss(t.Context(), j.s, rows(es, micro))
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
	if _, _, err := MeanLoss(t.Context(), j.s, rows(nil, 64)); err == nil {
		t.Error("no rows have a loss")
	}
	e := data.Example{IDs: []int32{1, 2, 3}, Weights: make([]float32, 3)}
	if _, _, err := MeanLoss(t.Context(), j.s, rows([]data.Example{e}, 64)); err == nil {
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

// Stopped anywhere, there is no loss: one over some of the rows would be another number.
func TestMeanLossIsStopped(t *testing.T) {
	j := newJudge(t)
	batches := rows(append(examples(), examples()...), 64)
	asked := &countdown{t.Context(), math.MaxInt}
	if _, _, err := MeanLoss(asked, j.s, batches); err != nil {
		t.Fatal(err)
	}
	n := math.MaxInt - asked.left
	for _, at := range []int{0, 1, 2, n / 2, n - 1} {
		loss, tokens, err := MeanLoss(&countdown{t.Context(), at}, j.s, batches)
		if !errors.Is(err, context.Canceled) || loss != 0 || tokens != 0 {
			t.Errorf("asked %d times of %d: loss %g over %d tokens, %v", at, n, loss, tokens, err)
		}
	}
}

func row(line int, question, answer string) data.Conversation {
	return data.Conversation{Position: data.Position{File: "rows.jsonl", Line: line}, Messages: []data.Message{
		{Role: "user", Content: question}, {Role: "assistant", Content: answer},
	}}
}

func (j judge) answers(t *testing.T, rows []data.Conversation) []Answer {
	t.Helper()
	as, err := Answers(t.Context(), j.s, j.tok, j.questions(t, rows), AnswerOptions{Stops: j.stops, MaxNewTokens: 12, Window: 256})
	if err != nil {
		t.Fatal(err)
	}
	return as
}

func (j judge) questions(t *testing.T, rows []data.Conversation) []Question {
	t.Helper()
	var qs []Question
	for _, c := range rows {
		q, err := Ask(j.template, j.tok, c, chat.RenderOptions{}, 256)
		if err != nil {
			t.Fatal(err)
		}
		qs = append(qs, q)
	}
	return qs
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
	if again[0].File != "rows.jsonl" || again[0].Line != 3 || again[1].Prompt != "two" {
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
		{row(7, strings.Repeat("x", 300), "y"), "rows.jsonl:7: the prompt has "},
	}
	for _, tt := range tests {
		_, err := Ask(j.template, j.tok, tt.row, chat.RenderOptions{}, 256)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("got %v, want %q", err, tt.says)
		}
	}
}

// A system prompt stands before a conversation that has none, and nowhere else.
func TestSystemOfAQuestion(t *testing.T) {
	j := newJudge(t)
	own := row(2, "one", "x")
	own.Messages = append([]data.Message{{Role: "system", Content: "Own."}}, own.Messages...)
	for _, tt := range []struct {
		row    data.Conversation
		system string
		want   string
	}{
		{row(1, "one", "x"), "", "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n"},
		{row(1, "one", "x"), "Given.", "<|im_start|>system\nGiven.<|im_end|>\n<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n"},
		{own, "Given.", "<|im_start|>system\nOwn.<|im_end|>\n<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n"},
	} {
		q, err := Ask(j.template, j.tok, tt.row, chat.RenderOptions{System: tt.system}, 256)
		if err != nil {
			t.Fatal(err)
		}
		if got := j.tok.Decode(q.IDs, false); got != tt.want {
			t.Errorf("asked %q, want %q", got, tt.want)
		}
	}
}

// What answers take is known before: the longest prompt and the answer to it, but no more than the window.
func TestRoom(t *testing.T) {
	qs := []Question{{IDs: make([]int32, 5)}, {IDs: make([]int32, 9)}, {}}
	for _, tt := range []struct{ most, window, rows int }{{10, 256, 19}, {10, 12, 12}, {math.MaxInt, 256, 256}} {
		if rows, prompt := (AnswerOptions{MaxNewTokens: tt.most, Window: tt.window}).Room(qs); rows != tt.rows || prompt != 9 {
			t.Errorf("%+v: %d rows for prompts of %d", tt, rows, prompt)
		}
	}
}

func TestProgressAndCancel(t *testing.T) {
	j := newJudge(t)
	rows := []data.Conversation{row(1, "a", "b"), row(2, "c", "d"), row(3, "e", "f")}
	ctx, cancel := context.WithCancel(t.Context())
	var done []int
	as, err := Answers(ctx, j.s, j.tok, j.questions(t, rows), AnswerOptions{Stops: j.stops, MaxNewTokens: 4, Window: 256, Progress: func(n int) {
		if done = append(done, n); n == 2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || as != nil {
		t.Errorf("%v, %v", as, err)
	}
	if len(done) != 2 || done[0] != 1 || done[1] != 2 {
		t.Errorf("told %v", done)
	}
}
