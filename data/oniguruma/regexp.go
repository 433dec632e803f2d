// Package oniguruma matches the regular expressions of published tokenizer.json files as Oniguruma does, the engine
// behind the tokenizers library: leftmost, alternatives in the order written, \s \d \w and \p{...} over Unicode, sets
// within sets and their intersections, possessive repeats, atomic groups, look-ahead and look-behind, ^ and $ at lines.
// What a pattern has beyond that (back-references, calls, conditions, \X, \K, ...) is refused by name in Compile.
//
// A pattern becomes a small program (compile.go). Where its assertions look at single characters only, which holds for
// all patterns of published files known to us, the program becomes a table from state and class of character to state
// (dfa.go), and matching is a walk through it. All programs can also run by backtracking (backtrack.go), which remembers
// from which place of the program no match followed at which place of the text, and so takes linear time. It is the
// definition that the table is held to, and takes over where the table would read the same text again and again.
package oniguruma

import (
	"fmt"
	"sync"
)

// The limits to what a pattern may ask for. Published patterns have some 300 bytes and 100 instructions.
const (
	maxPattern = 1 << 13 // bytes
	maxNesting = 64      // groups and sets within one another
	maxProgram = 1 << 13 // instructions
	maxBehind  = 255     // characters that a look-behind may cover
)

// Regexp is a compiled pattern, safe for concurrent use.
type Regexp struct {
	pattern  string
	prog     program
	alphabet *alphabet
	table    *table    // nil = the program needs backtracking
	machines sync.Pool // of *machine
}

// Compile reads a pattern. Its error names the construct that is wrong or not supported and the byte where it stands.
func Compile(pattern string) (*Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("the pattern has %d bytes; %d are supported", len(pattern), maxPattern)
	}
	p := parser{src: pattern}
	n, err := p.parse()
	if err != nil {
		return nil, err
	}
	prog, sets, err := compile(n)
	if err != nil {
		return nil, err
	}
	r := &Regexp{pattern: pattern, prog: prog, alphabet: newAlphabet(sets)}
	r.table = newTable(&r.prog, r.alphabet)
	return r, nil
}

// String is the pattern.
func (r *Regexp) String() string { return r.pattern }

// rescan is how often, on average, the table may read a character before backtracking takes over.
const rescan = 8

// Cut calls piece with the matches of the pattern in s and with what lies between them, in order: together they are s.
// A match may be empty, but not where the match before it ends. It fails only if the pattern looks so far ahead that
// what was learned about the text takes too much memory.
func (r *Regexp) Cut(s string, piece func(lo, hi int, match bool)) error {
	var (
		m     *machine // where the table does not serve
		prev  int      // where the last match ended
		empty = -1     // where an empty match does not count
		quota = rescan*len(s) + 1<<10
	)
	for at := 0; at <= len(s); {
		lo, hi := failed, at
		if r.table != nil && quota > 0 {
			lo, hi = r.table.find(s, at, &quota)
		}
		if lo < 0 && hi >= 0 {
			if m == nil {
				m = r.machine(s)
				defer r.release(m)
			}
			var err error
			if lo, hi, err = m.find(hi); err != nil {
				return fmt.Errorf("regular expression %q: %w", r.pattern, err)
			}
		}
		if lo < 0 {
			break
		}
		if lo == hi && lo == empty {
			_, n := r.alphabet.at(s, lo)
			at = lo + max(n, 1)
			continue
		}
		if prev < lo {
			piece(prev, lo, false)
		}
		piece(lo, hi, true)
		prev, at, empty = hi, hi, hi
	}
	if prev < len(s) {
		piece(prev, len(s), false)
	}
	return nil
}
