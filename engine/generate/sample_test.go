package generate

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestGreedyTakesTheLowestOfEquals(t *testing.T) {
	s := newSampler(Sampling{})
	if id := s.next([]float32{1, 3, 3, 2}); id != 1 {
		t.Errorf("token %d", id)
	}
}

// Frequencies follow softmax(logits/temperature), and top_p leaves out exactly the tail.
func TestFrequencies(t *testing.T) {
	logits := []float32{2, 0, 1, -1}
	const n, temperature = 40_000, 0.7
	for _, topP := range []float64{1, 0.9, 0.5} {
		want, sum := make([]float64, 4), 0.0
		for i, x := range logits {
			want[i] = math.Exp(float64(x) / temperature)
			sum += want[i]
		}
		switch topP { // shares: 0.76, 0.18, 0.04, 0.01 for ids 0, 2, 1, 3
		case 0.9:
			want[1], want[3] = 0, 0
		case 0.5:
			want[1], want[2], want[3] = 0, 0, 0
		}
		sum = want[0] + want[1] + want[2] + want[3]
		s := newSampler(Sampling{Temperature: temperature, TopP: topP, Seed: 5})
		got := make([]float64, 4)
		for range n {
			got[s.next(logits)]++
		}
		for i := range want {
			p := want[i] / sum
			if math.Abs(got[i]/n-p) > 4*math.Sqrt(p*(1-p)/n)+1e-12 {
				t.Errorf("top_p %g: token %d came %.4f, want %.4f", topP, i, got[i]/n, p)
			}
		}
	}
}

func TestSeedsRepeat(t *testing.T) {
	logits := make([]float32, 50)
	draw := func(seed uint64) (ids [20]int32) {
		s := newSampler(Sampling{Temperature: 1, Seed: seed})
		for i := range ids {
			ids[i] = s.next(logits)
		}
		return ids
	}
	first := draw(1)
	if again := draw(1); again != first {
		t.Errorf("the same seed drew %v, then %v", first, again)
	}
	if other := draw(2); other == first {
		t.Errorf("two seeds drew the same %v", first)
	}
}

// The nucleus is, bit for bit, the beginning of all tokens sorted by probability, the lower id first among equals.
func TestNucleusIsTheBeginningOfTheSortedTokens(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, vocabulary := range []int{1, 2, 3, 50, 2000} {
		for _, topP := range []float64{1e-9, 0.3, 0.9, 0.999, 1 - 1e-16} {
			for _, levels := range []int{1, 5, 1 << 20} { // few levels make ties
				s := newSampler(Sampling{Temperature: 1, TopP: topP})
				total := 0.0
				for id := range vocabulary {
					p := math.Exp(-8 * float64(r.IntN(levels)) / float64(levels))
					s.order, s.probs, total = append(s.order, int32(id)), append(s.probs, p), total+p
				}
				want := slices.Clone(s.order)
				slices.SortStableFunc(want, func(a, b int32) int { return cmp.Compare(s.probs[b], s.probs[a]) })
				wantSum := 0.0
				for i, id := range want {
					if wantSum += s.probs[id]; wantSum >= topP*total {
						want = want[:i+1]
						break
					}
				}
				if kept, sum := s.nucleus(total); !slices.Equal(kept, want) || sum != wantSum {
					t.Errorf("%d tokens of %d levels, top_p %g: %d kept with sum %v, want %d with %v", vocabulary, levels, topP, len(kept), sum, len(want), wantSum)
				}
			}
		}
	}
}
