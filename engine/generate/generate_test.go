package generate

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"attune/data/tokenizer"
	"attune/engine/session"
	"attune/engine/session/sessiontest"
)

// random is a small random model with a decoder of the given length over it.
func random(t *testing.T, rows int) (*session.Decoder, *tokenizer.Tokenizer) {
	t.Helper()
	s, dir := sessiontest.Random(t)
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.NewDecoder(rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, tok
}

var prompt = []int32{1, 80, 90, 100, 110}

func generated(t *testing.T, d *session.Decoder, tok *tokenizer.Tokenizer, o Options) Result {
	t.Helper()
	r, err := Run(t.Context(), d, tok, prompt, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each token is the most likely one after everything before it, computed anew without the cache's history.
func TestGreedyIsTheArgmaxOfTheWholeText(t *testing.T) {
	d, tok := random(t, 32)
	r := generated(t, d, tok, Options{MaxNewTokens: 12})
	if r.StopReason != StopLength || len(r.NewIDs) != 12 || !slices.Equal(r.PromptIDs, prompt) {
		t.Fatalf("%+v", r)
	}
	if want := tok.Decode(r.NewIDs, true); r.Text != want {
		t.Errorf("text %q, the ids are %q", r.Text, want)
	}
	text := slices.Clone(prompt)
	for i, id := range r.NewIDs {
		d.Reset()
		logits, err := d.Feed(text)
		if err != nil {
			t.Fatal(err)
		}
		if best := argmax(logits); best != id && logits[best]-logits[id] > 1e-5 {
			t.Errorf("token %d is %d, the whole text says %d (%g against %g)", i, id, best, logits[id], logits[best])
		}
		text = append(text, id)
	}
}

// sampled is a generation of which no two tokens need be equal.
func sampled(max int) Options {
	return Options{MaxNewTokens: max, Sampling: Sampling{Temperature: 1, Seed: 3}}
}

func TestSeedFixesTheText(t *testing.T) {
	d, tok := random(t, 64)
	first := generated(t, d, tok, sampled(40))
	if again := generated(t, d, tok, sampled(40)); !slices.Equal(again.NewIDs, first.NewIDs) {
		t.Errorf("%v, then %v", first.NewIDs, again.NewIDs)
	}
	o := sampled(40)
	o.Seed++
	if other := generated(t, d, tok, o); slices.Equal(other.NewIDs, first.NewIDs) {
		t.Error("another seed gave the same tokens")
	}
}

func TestStopIsTheLastIDAndNotInTheText(t *testing.T) {
	d, tok := random(t, 64)
	all := generated(t, d, tok, sampled(40))
	stop := all.NewIDs[10]
	first := slices.Index(all.NewIDs, stop)
	o := sampled(40)
	o.Stops = []int32{999, stop}
	r := generated(t, d, tok, o)
	if r.StopReason != StopEnd || !slices.Equal(r.NewIDs, all.NewIDs[:first+1]) {
		t.Errorf("%s after %v, want %v", r.StopReason, r.NewIDs, all.NewIDs[:first+1])
	}
	if want := tok.Decode(all.NewIDs[:first], true); r.Text != want {
		t.Errorf("text %q, want %q", r.Text, want)
	}
}

func TestTextArrivesInWholeCharacters(t *testing.T) {
	d, tok := random(t, 64)
	var parts []string
	o := sampled(50)
	o.OnText = func(s string) {
		if s == "" {
			t.Error("told of no text")
		}
		parts = append(parts, s)
	}
	r := generated(t, d, tok, o)
	if strings.Join(parts, "") != r.Text || len(parts) < 2 {
		t.Errorf("parts %q, text %q", parts, r.Text)
	}
}

func TestContextFull(t *testing.T) {
	d, tok := random(t, len(prompt)+3)
	r := generated(t, d, tok, sampled(100))
	// three tokens are fed behind the prompt; the one that follows the last of them needs no room
	if r.StopReason != StopFull || len(r.NewIDs) != 4 {
		t.Errorf("%s after %d tokens", r.StopReason, len(r.NewIDs))
	}
}

func TestCancelledGivesWhatThereIs(t *testing.T) {
	d, tok := random(t, 64)
	all := generated(t, d, tok, sampled(20))
	ctx, cancel := context.WithCancel(t.Context())
	o := sampled(20)
	n := 0
	o.OnText = func(string) {
		if n++; n == 3 {
			cancel()
		}
	}
	r, err := Run(ctx, d, tok, prompt, o)
	if err != nil || r.StopReason != StopCancel {
		t.Fatalf("%s, %v", r.StopReason, err)
	}
	if k := len(r.NewIDs); k < 3 || k >= 20 || !slices.Equal(r.NewIDs, all.NewIDs[:k]) {
		t.Errorf("%v is not the beginning of %v", r.NewIDs, all.NewIDs)
	}
}

func TestNoTokensWanted(t *testing.T) {
	d, tok := random(t, 16)
	if r := generated(t, d, tok, Options{}); len(r.NewIDs) != 0 || r.Text != "" || r.StopReason != StopLength || r.NewIDs == nil {
		t.Errorf("%+v", r)
	}
}

func TestPromptsThatDoNotFit(t *testing.T) {
	d, tok := random(t, 8)
	for _, bad := range [][]int32{nil, make([]int32, 9)} {
		if _, err := Run(t.Context(), d, tok, bad, Options{MaxNewTokens: 1}); err == nil {
			t.Errorf("a prompt of %d tokens in a context of 8 was taken", len(bad))
		}
	}
	if r, err := Run(t.Context(), d, tok, make([]int32, 8), Options{MaxNewTokens: 5}); err != nil || len(r.NewIDs) != 1 {
		t.Errorf("a prompt as long as the context gives %v (%v)", r.NewIDs, err)
	}
}

// However low the temperature, sampling comes to greedy; a tiny top_p is greedy at any temperature.
func TestSamplingHasGreedyAsItsLimit(t *testing.T) {
	logits := []float32{-2, 0.5, 4, 3.9, float32(math.Inf(-1))}
	for _, s := range []Sampling{{Temperature: 1e-4}, {Temperature: 5, TopP: 1e-9}} {
		draw := newSampler(s)
		for range 200 {
			if id := draw.next(logits); id != 2 {
				t.Fatalf("%+v drew %d", s, id)
			}
		}
	}
}

// The turns of a conversation, each prompt going on from the last turn's text or from a part of it, have the ids that they
// have each computed whole.
func TestContinuedTurnsAreAsComputedWhole(t *testing.T) {
	d, tok := random(t, 128)
	text := slices.Clone(prompt)
	for turn := range 5 {
		o := Options{MaxNewTokens: 12, Continue: true}
		if turn%2 == 1 {
			o.Sampling = Sampling{Temperature: 1, TopP: 0.9, Seed: uint64(turn)}
		}
		r, err := Run(t.Context(), d, tok, text, o)
		if err != nil {
			t.Fatal(err)
		}
		o.Continue = false
		whole, err := Run(t.Context(), d, tok, text, o)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.NewIDs, whole.NewIDs) || r.Text != whole.Text {
			t.Errorf("turn %d: %v, computed whole %v", turn, r.NewIDs, whole.NewIDs)
		}
		text = append(append(text, r.NewIDs[:10-turn]...), 80, int32(90+turn)) // the last tokens are taken back
	}
}
