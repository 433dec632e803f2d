package chat

import (
	"cmp"
	"fmt"

	"attune/data"
)

// Names are what complaints call the settings of Cut: what its user has to change.
type Names struct{ MaxLength, Overlength string }

// OrKeys is n with the run file's keys where it has no name.
func (n Names) OrKeys() Names {
	return Names{cmp.Or(n.MaxLength, "data.max_length"), cmp.Or(n.Overlength, "data.overlength")}
}

// Cut applies the overlength policy to one example of at most any length. maxLength 0 = no limit.
//
// Truncate keeps the first maxLength tokens. Split makes parts of at most maxLength tokens, each later one beginning with
// the last token of the one before, so that every trained token keeps a predecessor and none is lost; parts in which
// nothing is learnt are left out. An example of which nothing would be learnt any more gives an error that wraps
// ErrNothingTrained, with the counts filled in.
func Cut(e data.Example, maxLength int, p Policy, names Names) (CutResult, error) {
	n := len(e.IDs)
	names = names.OrKeys()
	if maxLength <= 0 || n <= maxLength {
		return CutResult{Examples: []data.Example{e}, Starts: []int{0}, Kept: 1}, nil
	}
	switch p {
	case Refuse, "":
		return CutResult{}, at(e.Position, fmt.Errorf("the row has %d tokens, %s is %d; raise it, or set %s to truncate, split or drop", n, names.MaxLength, maxLength, names.Overlength))
	case Drop:
		return CutResult{Dropped: 1, TrainedLost: e.Trained()}, nil
	case Truncate:
		short := part(e, 0, maxLength)
		r := CutResult{Examples: []data.Example{short}, Starts: []int{0}, Cut: 1, TrainedLost: e.Trained() - short.Trained()}
		if short.Trained() == 0 {
			r.Examples, r.Starts = nil, nil
			return r, at(e.Position, fmt.Errorf("%w once it is cut from %d tokens to %s %d; raise it, or set %s to split or drop", ErrNothingTrained, n, names.MaxLength, maxLength, names.Overlength))
		}
		return r, nil
	case Split:
		if maxLength < 2 {
			return CutResult{}, at(e.Position, fmt.Errorf("a row cannot be split into parts of %d token; raise %s", maxLength, names.MaxLength))
		}
		var r CutResult
		for start := 0; start < n-1; start += maxLength - 1 {
			piece := part(e, start, min(start+maxLength, n))
			if start > 0 {
				piece.Weights[0] = 0 // learnt in the part before
			}
			if piece.Trained() > 0 {
				r.Examples, r.Starts = append(r.Examples, piece), append(r.Starts, start)
			}
		}
		if r.Split = len(r.Examples); r.Split == 0 {
			return r, at(e.Position, fmt.Errorf("%w; remove it", ErrNothingTrained))
		}
		return r, nil
	}
	return CutResult{}, fmt.Errorf("%s is %q; set it to error, truncate, split or drop", names.Overlength, p)
}

// part copies tokens [from, to) of an example.
func part(e data.Example, from, to int) data.Example {
	e.IDs = append([]int32(nil), e.IDs[from:to]...)
	e.Weights = append([]float32(nil), e.Weights[from:to]...)
	return e
}
