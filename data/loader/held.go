package loader

import (
	"crypto/sha256"
	"iter"

	"attune/data"
	"attune/data/pack"
)

// Held is held-out examples, packed row by row each time they are judged. nil has none.
type Held struct {
	sets []*Set
	rows [][]int // numbers over all sets
	pad  int32

	Longest int   // tokens of the longest row, padding included
	Lengths int   // how many lengths rows have
	Padded  int64 // tokens of all rows, padding included
}

// NewHeld packs the examples of sets, in their order, into rows of at most microTokens; see pack.Assign. Without any
// example it is nil.
func NewHeld(sets []*Set, microTokens int, padID int32) *Held {
	var lengths []int
	for _, s := range sets {
		for i := range s.Len() {
			lengths = append(lengths, s.length(i))
		}
	}
	if len(lengths) == 0 {
		return nil
	}
	h := &Held{sets: sets, rows: pack.Assign(lengths, microTokens), pad: padID}
	seen := map[int]bool{}
	for _, row := range h.rows {
		tokens := 0
		for _, i := range row {
			tokens += lengths[i]
		}
		tokens = pack.RoundUp(tokens)
		h.Longest = max(h.Longest, tokens)
		h.Padded += int64(tokens)
		seen[tokens] = true
	}
	h.Lengths = len(seen)
	return h
}

// Batches gives the rows, each packed when it is its turn. It ends with an error where a set's file cannot be read.
func (h *Held) Batches() iter.Seq2[data.Batch, error] {
	return func(yield func(data.Batch, error) bool) {
		if h == nil {
			return
		}
		for _, row := range h.rows {
			examples := make([]data.Example, len(row))
			for k, number := range row {
				var err error
				if examples[k], err = h.example(number); err != nil {
					yield(data.Batch{}, err)
					return
				}
			}
			if !yield(pack.EvalRow(examples, pack.Options{PadID: h.pad}), nil) {
				return
			}
		}
	}
}

// Fingerprint is a SHA-256 over the ids and weights of all examples: what is judged, however it is packed. It fails where
// a set's file cannot be read.
func (h *Held) Fingerprint() (sum [sha256.Size]byte, err error) {
	all := sha256.New()
	all.Write([]byte("attune held-out rows 1\n"))
	if h != nil {
		for _, s := range h.sets {
			if err = s.digest(all); err != nil {
				return sum, err
			}
		}
	}
	return [sha256.Size]byte(all.Sum(nil)), nil
}

func (h *Held) example(number int) (data.Example, error) {
	set := 0
	for number >= h.sets[set].Len() {
		number -= h.sets[set].Len()
		set++
	}
	return h.sets[set].Example(number)
}
