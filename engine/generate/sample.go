package generate

import (
	"cmp"
	"math"

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
	order []int32   // all ids
	probs []float64 // of each id, not divided by their sum
	kept  []int32   // the nucleus
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

// nucleus keeps the most likely tokens up to the one with which their share of total reaches TopP, the lower id first among
// equals, and gives their sum. A nucleus is a few tokens of tens of thousands, so they are taken from a heap, not sorted.
func (s *sampler) nucleus(total float64) ([]int32, float64) {
	heap := s.order
	for i := len(heap)/2 - 1; i >= 0; i-- {
		s.sink(heap, i)
	}
	var sum float64
	s.kept = s.kept[:0]
	for len(heap) > 0 && !(len(s.kept) > 0 && sum >= s.s.TopP*total) {
		id := heap[0]
		s.kept, sum = append(s.kept, id), sum+s.probs[id]
		last := len(heap) - 1
		heap[0], heap = heap[last], heap[:last]
		s.sink(heap, 0)
	}
	return s.kept, sum
}

// sink moves the token at i down the heap until none below is likelier.
func (s *sampler) sink(heap []int32, i int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && s.likelier(heap[child+1], heap[child]) {
			child++
		}
		if !s.likelier(heap[child], heap[i]) {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// likelier is the order in which tokens join the nucleus.
func (s *sampler) likelier(a, b int32) bool {
	if c := cmp.Compare(s.probs[a], s.probs[b]); c != 0 {
		return c > 0
	}
	return a < b
}
