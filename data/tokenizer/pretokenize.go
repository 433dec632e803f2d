package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// words is a text on its way through the pre-tokenizers: pieces are ranges of text.s, in order.
type words struct {
	text   aligned
	pieces []piece
	spare  []piece // of the step before, to be used again
	cuts   []piece
}

// preTokenizer cuts pieces into smaller ones, and may change the text.
type preTokenizer interface {
	apply(w *words) error
}

// byteLevel is the ByteLevel pre-tokenizer without its pattern, which stands before it as a split.
type byteLevel struct{}

func parsePreTokenizer(raw json.RawMessage, depth int) ([]preTokenizer, error) {
	var f struct {
		Type             string            `json:"type"`
		PreTokenizers    []json.RawMessage `json:"pretokenizers"`
		Pattern          json.RawMessage   `json:"pattern"`
		Behavior         string            `json:"behavior"`
		Invert           bool              `json:"invert"`
		IndividualDigits bool              `json:"individual_digits"`
		AddPrefixSpace   *bool             `json:"add_prefix_space"`
		UseRegex         *bool             `json:"use_regex"`
		Replacement      string            `json:"replacement"`
		PrependScheme    string            `json:"prepend_scheme"`
		Split            *bool             `json:"split"`
		Delimiter        string            `json:"delimiter"`
		Length           *int              `json:"length"`
	}
	if absent(raw) {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	switch f.Type {
	case "Sequence":
		return parseSequence(f.PreTokenizers, depth, "pre_tokenizer", parsePreTokenizer)
	case "ByteLevel":
		var all []preTokenizer
		if f.AddPrefixSpace == nil || *f.AddPrefixSpace {
			all = append(all, prefixSpace{})
		}
		if f.UseRegex == nil || *f.UseRegex {
			m, err := parseRegex(wordsOfGPT2)
			if err != nil {
				return nil, err
			}
			all = append(all, split{m, isolated, false})
		}
		return append(all, byteLevel{}), nil
	case "Split":
		m, err := parsePattern(f.Pattern)
		if err != nil {
			return nil, fmt.Errorf("pre_tokenizer Split: %w", err)
		}
		b, err := parseBehavior(f.Behavior)
		if err != nil {
			return nil, fmt.Errorf("pre_tokenizer Split: %w", err)
		}
		return []preTokenizer{split{m, b, f.Invert}}, nil
	case "Digits":
		b := contiguous
		if f.IndividualDigits {
			b = isolated
		}
		return []preTokenizer{split{classPattern{classes(), number}, b, false}}, nil
	case "Punctuation":
		if f.Behavior == "" {
			f.Behavior = "Isolated"
		}
		b, err := parseBehavior(f.Behavior)
		if err != nil {
			return nil, fmt.Errorf("pre_tokenizer Punctuation: %w", err)
		}
		return []preTokenizer{split{classPattern{classes(), punct}, b, false}}, nil
	case "Whitespace":
		return []preTokenizer{split{wordPattern{classes()}, removed, true}}, nil
	case "BertPreTokenizer":
		return []preTokenizer{
			split{classPattern{classes(), space}, removed, false},
			split{classPattern{classes(), punct}, isolated, false},
		}, nil
	case "CharDelimiterSplit":
		if utf8.RuneCountInString(f.Delimiter) != 1 {
			return nil, fmt.Errorf("pre_tokenizer CharDelimiterSplit: delimiter %q is not one character", f.Delimiter)
		}
		return []preTokenizer{split{literalPattern(f.Delimiter), removed, false}}, nil
	case "FixedLength":
		length := 5
		if f.Length != nil {
			length = *f.Length
		}
		if length < 1 {
			return nil, fmt.Errorf("pre_tokenizer FixedLength: length is %d, less than 1", length)
		}
		return []preTokenizer{split{lengthPattern(length), isolated, false}}, nil
	case "UnicodeScripts":
		return []preTokenizer{split{scriptPattern{}, removed, true}}, nil
	case "WhitespaceSplit":
		return []preTokenizer{split{classPattern{classes(), space}, removed, false}}, nil
	case "Metaspace":
		m, err := parseMetaspace(f.Replacement, f.PrependScheme, f.AddPrefixSpace)
		if err != nil {
			return nil, fmt.Errorf("pre_tokenizer Metaspace: %w", err)
		}
		all := []preTokenizer{m}
		if f.Split == nil || *f.Split {
			all = append(all, split{literalPattern(m.replacement), mergedWithNext, false})
		}
		return all, nil
	}
	return nil, fmt.Errorf("pre_tokenizer of type %q is not supported", f.Type)
}

// metaspace writes blanks as a visible character and may put one before each piece.
type metaspace struct {
	replacement string
	scheme      string // always, first, never
}

func parseMetaspace(replacement, scheme string, addPrefixSpace *bool) (metaspace, error) {
	if scheme == "" {
		scheme = "always"
	}
	if addPrefixSpace != nil && !*addPrefixSpace {
		scheme = "never"
	}
	switch {
	case utf8.RuneCountInString(replacement) != 1:
		return metaspace{}, fmt.Errorf("replacement %q is not one character", replacement)
	case scheme != "always" && scheme != "first" && scheme != "never":
		return metaspace{}, fmt.Errorf("prepend_scheme %q is not always, first or never", scheme)
	}
	return metaspace{replacement, scheme}, nil
}

// rebuild writes the text of the pieces anew, one by one.
func (w *words) rebuild(extra int, write func(r *rewriter, lo, hi int)) {
	r := rewrite(w.text, extra)
	for i, p := range w.pieces {
		lo := r.buf.Len()
		write(r, int(p.lo), int(p.hi))
		w.pieces[i] = piece{int32(lo), int32(r.buf.Len()), false}
	}
	w.text = r.done()
}

func (m metaspace) apply(w *words) error {
	w.rebuild(len(w.text.s)/2, func(r *rewriter, lo, hi int) {
		s := w.text.s
		first, _ := utf8.DecodeRuneInString(s[lo:hi])
		mark, _ := utf8.DecodeRuneInString(m.replacement)
		begins := first == ' ' || first == mark
		if !begins && (m.scheme == "always" || m.scheme == "first" && w.text.start(lo) == 0) {
			r.put(m.replacement, lo, lo)
		}
		from := lo
		for i := lo; i < hi; i++ {
			if s[i] == ' ' {
				r.keep(from, i)
				r.put(m.replacement, i, i+1)
				from = i + 1
			}
		}
		r.keep(from, hi)
	})
	return nil
}

// prefixSpace puts a blank before each piece that has none.
type prefixSpace struct{}

func (prefixSpace) apply(w *words) error {
	lacks := func(p piece) bool { return w.text.s[p.lo] != ' ' }
	if !slices.ContainsFunc(w.pieces, lacks) {
		return nil
	}
	w.rebuild(len(w.pieces), func(r *rewriter, lo, hi int) {
		if w.text.s[lo] != ' ' {
			r.put(" ", lo, lo)
		}
		r.keep(lo, hi)
	})
	return nil
}

// apply writes bytes as characters, for what comes behind it. A ByteLevel that comes last is left out: the model then
// reads bytes.
func (byteLevel) apply(w *words) error {
	w.rebuild(len(w.text.s)/8, func(r *rewriter, lo, hi int) { r.bytesAsRunes(lo, hi) })
	return nil
}

// behavior says what becomes of the matches at which a text is split.
type behavior int

const (
	isolated behavior = iota
	removed
	mergedWithPrevious
	mergedWithNext
	contiguous
)

func parseBehavior(name string) (behavior, error) {
	i := slices.Index([]string{"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"}, name)
	if i < 0 {
		return 0, fmt.Errorf("behavior %q is not supported", name)
	}
	return behavior(i), nil
}

// split cuts each piece at the matches of a pattern; invert swaps matches and what lies between.
type split struct {
	pattern  matcher
	behavior behavior
	invert   bool
}

func (p split) apply(w *words) error {
	out := w.spare[:0]
	for _, whole := range w.pieces {
		cuts, err := p.pattern.cut(w.cuts[:0], w.text.s[whole.lo:whole.hi])
		if err != nil {
			return fmt.Errorf("pre_tokenizer Split: %w", err)
		}
		w.cuts = cuts
		if p.invert {
			for i := range cuts {
				cuts[i].match = !cuts[i].match
			}
		}
		for _, c := range p.behavior.join(cuts) {
			if c.lo != c.hi {
				out = append(out, piece{whole.lo + c.lo, whole.lo + c.hi, false})
			}
		}
	}
	w.pieces, w.spare = out, w.pieces
	return nil
}

// join puts matches together with what lies between them, in place.
func (b behavior) join(cuts []piece) []piece {
	if b == isolated {
		return cuts
	}
	out := cuts[:0]
	previous := false
	switch b {
	case removed:
		return slices.DeleteFunc(cuts, func(c piece) bool { return c.match })
	case mergedWithNext:
		for i := len(cuts) - 1; i >= 0; i-- {
			c := cuts[i]
			if c.match && !previous && i+1 < len(cuts) {
				cuts[i+1].lo = c.lo
				cuts[i].hi = c.lo // emptied, and left out
			}
			previous = c.match
		}
		for _, c := range cuts {
			if c.lo != c.hi {
				out = append(out, c)
			}
		}
		return out
	}
	for _, c := range cuts {
		joins := b == contiguous && c.match == previous || b == mergedWithPrevious && c.match && !previous
		if n := len(out); joins && n > 0 {
			out[n-1].hi = c.hi
		} else {
			out = append(out, c)
		}
		previous = c.match
	}
	return out
}
