package chat

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"attune/data"
)

func numbered(weights ...float32) data.Example {
	e := data.Example{Position: data.Position{File: "r.jsonl", Line: 9}, Weights: weights}
	for i := range weights {
		e.IDs = append(e.IDs, int32(i))
	}
	return e
}

func TestCut(t *testing.T) {
	e := numbered(0, 0, 1, 1, 1, 0)
	if r, err := Cut(e, 6, Refuse, Names{}); err != nil || r.Kept != 1 || len(r.Examples) != 1 {
		t.Errorf("short enough: %+v, %v", r, err)
	}
	if _, err := Cut(e, 5, Refuse, Names{}); err == nil || !strings.HasPrefix(err.Error(), "r.jsonl:9: ") || !strings.Contains(err.Error(), "max_length") {
		t.Errorf("error: %v", err)
	}
	if r, err := Cut(e, 4, Truncate, Names{}); err != nil || r.Cut != 1 || r.TrainedLost != 1 || len(r.Examples[0].IDs) != 4 {
		t.Errorf("truncate: %+v, %v", r, err)
	}
	if r, err := Cut(e, 2, Truncate, Names{}); !errors.Is(err, ErrNothingTrained) || r.TrainedLost != 3 || r.Cut != 1 || r.Examples != nil {
		t.Errorf("truncate to nothing: %+v, %v", r, err)
	}
	if r, err := Cut(e, 4, Drop, Names{}); err != nil || r.Dropped != 1 || r.TrainedLost != 3 || r.Examples != nil {
		t.Errorf("drop: %+v, %v", r, err)
	}
	if _, err := Cut(e, 4, "chop", Names{}); err == nil || !strings.Contains(err.Error(), "overlength") {
		t.Errorf("unknown policy: %v", err)
	}
}

// What is wrong is said in the words of who called: a run file's keys, or flags.
func TestCutNamesItsSettings(t *testing.T) {
	for _, names := range []Names{{}, {"--max-length", "--overlength"}} {
		length, policy := "data.max_length", "data.overlength"
		if names != (Names{}) {
			length, policy = names.MaxLength, names.Overlength
		}
		for _, c := range []struct {
			max    int
			policy Policy
			says   []string
		}{
			{5, Refuse, []string{length + " is 5", "set " + policy + " to truncate"}}, {2, Truncate, []string{"to " + length + " 2", "set " + policy + " to split"}},
			{1, Split, []string{"raise " + length}}, {5, "chop", []string{policy + ` is "chop"`}},
		} {
			_, err := Cut(numbered(0, 0, 1, 1, 1, 0), c.max, c.policy, names)
			for _, w := range c.says {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("%s to %d: got %v, want %q", c.policy, c.max, err, w)
				}
			}
			if err != nil && names != (Names{}) && strings.Contains(err.Error(), "data.") {
				t.Errorf("%v names a key of the run file", err)
			}
		}
	}
}

// TestSplitLosesNothing: the parts of a row learn each of its trained tokens once, with the token before it, at its weight.
func TestSplitLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := numbered(rapid.SliceOfN(rapid.SampledFrom([]float32{0, 1, 0.5}), 2, 60).Draw(t, "weights")...)
		limit := rapid.IntRange(2, 20).Draw(t, "limit")
		r, err := Cut(e, limit, Split, Names{})
		if e.Trained() == 0 && len(e.IDs) > limit {
			if !errors.Is(err, ErrNothingTrained) {
				t.Fatalf("nothing trained: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(e.IDs))
		for k, p := range r.Examples {
			if len(p.IDs) > limit || len(p.IDs) != len(p.Weights) {
				t.Fatalf("a part of %d tokens, %d weights", len(p.IDs), len(p.Weights))
			}
			if len(r.Starts) != len(r.Examples) || int(p.IDs[0]) != r.Starts[k] {
				t.Fatalf("part %v, said to begin at %v", p.IDs, r.Starts)
			}
			for i := 1; i < len(p.IDs); i++ {
				if p.IDs[i] != p.IDs[i-1]+1 {
					t.Fatalf("part %v", p.IDs)
				}
				got[p.IDs[i]] += p.Weights[i]
			}
		}
		if want := append([]float32{0}, e.Weights[1:]...); !slices.Equal(got, want) {
			t.Fatalf("learnt %v, want %v", got, want)
		}
	})
}
