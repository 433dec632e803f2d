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
	if r, err := Cut(e, 6, Refuse); err != nil || r.Kept != 1 || len(r.Examples) != 1 {
		t.Errorf("short enough: %+v, %v", r, err)
	}
	if _, err := Cut(e, 5, Refuse); err == nil || !strings.HasPrefix(err.Error(), "r.jsonl:9: ") || !strings.Contains(err.Error(), "max_length") {
		t.Errorf("error: %v", err)
	}
	if r, err := Cut(e, 4, Truncate); err != nil || r.Cut != 1 || r.TrainedLost != 1 || len(r.Examples[0].IDs) != 4 {
		t.Errorf("truncate: %+v, %v", r, err)
	}
	if r, err := Cut(e, 2, Truncate); !errors.Is(err, ErrNothingTrained) || r.TrainedLost != 3 || r.Cut != 1 || r.Examples != nil {
		t.Errorf("truncate to nothing: %+v, %v", r, err)
	}
	if r, err := Cut(e, 4, Drop); err != nil || r.Dropped != 1 || r.TrainedLost != 3 || r.Examples != nil {
		t.Errorf("drop: %+v, %v", r, err)
	}
	if _, err := Cut(e, 4, "chop"); err == nil || !strings.Contains(err.Error(), "overlength") {
		t.Errorf("unknown policy: %v", err)
	}
}

// TestSplitLosesNothing: the parts of a row learn each of its trained tokens once, with the token before it, at its weight.
func TestSplitLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := numbered(rapid.SliceOfN(rapid.SampledFrom([]float32{0, 1, 0.5}), 2, 60).Draw(t, "weights")...)
		limit := rapid.IntRange(2, 20).Draw(t, "limit")
		r, err := Cut(e, limit, Split)
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
		for _, p := range r.Examples {
			if len(p.IDs) > limit || len(p.IDs) != len(p.Weights) {
				t.Fatalf("a part of %d tokens, %d weights", len(p.IDs), len(p.Weights))
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
