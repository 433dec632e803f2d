package loader

import "attune/data/pack"

// Survey is what the packing of a whole run comes to.
type Survey struct {
	Longest int   // tokens of the longest row, padding included
	Lengths int   // how many lengths rows have
	Rows    int   // micro-batches
	Tokens  int64 // padding not counted
	Padded  int64 // padding included
	Whole   bool  // every step was looked at; otherwise Longest may be too small, and the sums are scaled up
}

// surveyed is the most steps that Survey looks at.
const surveyed = 100_000

// Survey packs the lengths of every step's examples as Pack does, without their tokens.
func (l *Loader) Survey(microTokens int) Survey {
	n := min(l.steps, surveyed)
	s := Survey{Whole: n == l.steps}
	seen := map[int]bool{}
	for i := range n {
		lengths := l.lengths(i)
		for _, length := range lengths {
			s.Tokens += int64(length)
		}
		for _, row := range pack.Rows(lengths, microTokens) {
			seen[row] = true
			s.Longest = max(s.Longest, row)
			s.Padded += int64(row)
			s.Rows++
		}
	}
	s.Lengths = len(seen)
	if !s.Whole {
		scale := float64(l.steps) / float64(n)
		s.Rows = int(float64(s.Rows) * scale)
		s.Tokens, s.Padded = int64(float64(s.Tokens)*scale), int64(float64(s.Padded)*scale)
	}
	return s
}

// lengths are those of step i's examples.
func (l *Loader) lengths(i int) []int {
	visits, _ := l.step(i)
	lengths := make([]int, len(visits))
	for k, ordinal := range visits {
		set, number := l.find(ordinal)
		lengths[k] = set.length(number)
	}
	return lengths
}
