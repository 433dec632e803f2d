package generate

import (
	"cmp"
	"math"
	"slices"

	"attune/internal/rng"
)

// Sampling says how the next token is chosen.
type Sampling struct {
	Temperature float64 // 0 = greedy: always the most likely token
	TopP        float64 // nucleus sampling (Holtzman et al. 2019): the most likely tokens that together have this probability; 0 or 1 = all
	Seed        uint64
}

// argmax is the most likely token, the lowest id among equals.
func argmax(logits []float32) int32 {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	return int32(best)
}

// sampler draws tokens from one stream of random numbers.
type sampler struct {
	s     Sampling
	rng   *rng.Source
	order []int32
	probs []float64
}

func newSampler(s Sampling) *sampler { return &sampler{s: s, rng: rng.New(s.Seed)} }

// next chooses a token given the logits (V).
func (s *sampler) next(logits []float32) int32 {
	if s.s.Temperature == 0 {
		return argmax(logits)
	}
	if s.order == nil {
		s.order, s.probs = make([]int32, len(logits)), make([]float64, len(logits))
	}
	top := float64(logits[argmax(logits)])
	var sum float64
	for i, x := range logits {
		p := math.Exp((float64(x) - top) / s.s.Temperature)
		s.order[i], s.probs[i] = int32(i), p
		sum += p
	}
	kept := s.order
	if s.s.TopP > 0 && s.s.TopP < 1 {
		kept, sum = s.nucleus(sum)
	}
	at := s.rng.Float64() * sum
	for _, id := range kept {
		if at -= s.probs[id]; at < 0 {
			return id
		}
	}
	return kept[len(kept)-1] // rounding left a sliver
}

// nucleus keeps the most likely tokens up to the one with which their share of total reaches TopP, and gives their sum.
func (s *sampler) nucleus(total float64) ([]int32, float64) {
	slices.SortStableFunc(s.order, func(a, b int32) int { return cmp.Compare(s.probs[b], s.probs[a]) })
	var sum float64
	for i, id := range s.order {
		sum += s.probs[id]
		if sum >= s.s.TopP*total {
			return s.order[:i+1], sum
		}
	}
	return s.order, sum
}
