package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
)

// scored is ["piece", score].
type scored struct {
	piece string
	score score
}

// UnmarshalJSON reads the pair.
func (s *scored) UnmarshalJSON(raw []byte) error {
	pair := []any{&s.piece, &s.score}
	if err := json.Unmarshal(raw, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("an entry has %d parts, not a piece and its score", len(pair))
	}
	return nil
}

// score is a number read as the tokenizers library reads it: all digits that fit in 64 bits become one float64, which is
// then multiplied or divided by a power of ten. That can be off by one in the last place, and such differences decide
// between paths whose sums are equal but for the order of adding (serde_json without its feature float_roundtrip).
type score float64

// UnmarshalJSON reads a number.
func (s *score) UnmarshalJSON(raw []byte) error {
	var exact float64
	if err := json.Unmarshal(raw, &exact); err != nil {
		return err
	}
	var digits uint64
	shift, given, negative := 0, 0, false // the exponent that the digits make, and the one written
	full, point := false, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '-':
			negative = true
		case c == '.':
			point, full = true, false
		case c == 'e' || c == 'E':
			if _, err := fmt.Sscanf(string(raw[i+1:]), "%d", &given); err != nil {
				return fmt.Errorf("score %s: %w", raw, err)
			}
			i = len(raw)
		default:
			d := uint64(c - '0')
			full = full || digits > (math.MaxUint64-d)/10
			switch {
			case !full:
				digits = digits*10 + d
				if point {
					shift--
				}
			case !point:
				shift++
			}
		}
	}
	f := float64(digits)
	for shift += given; f != 0 && shift != 0; {
		step := min(max(shift, -308), 308)
		if step < 0 {
			f /= math.Pow10(-step)
		} else {
			f *= math.Pow10(step)
		}
		shift -= step
	}
	if negative {
		f = -f
	}
	*s = score(f)
	return nil
}
