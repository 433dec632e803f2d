package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer changes a text before it is cut into words.
type normalizer interface {
	normalize(a aligned) (aligned, error)
}

type normalizers []normalizer

func (n normalizers) normalize(a aligned) (aligned, error) {
	var err error
	from := len(a.s)
	for _, one := range n {
		if a, err = one.normalize(a); err != nil {
			return a, err
		}
		if err := checkGrowth(from, len(a.s)); err != nil {
			return a, fmt.Errorf("normalizer: %w", err)
		}
	}
	return a, nil
}

// checkGrowth refuses components that make a text very much longer, as only a hostile file has them.
func checkGrowth(from, to int) error {
	if to > min(64*from+1<<20, math.MaxInt32/2) {
		return fmt.Errorf("a text of %d bytes would become one of %d", from, to)
	}
	return nil
}

// maxNesting bounds how deep sequences of components may stand in one another.
const maxNesting = 16

func parseNormalizer(raw json.RawMessage, depth int) ([]normalizer, error) {
	var f struct {
		Type        string            `json:"type"`
		Normalizers []json.RawMessage `json:"normalizers"`
		Prepend     string            `json:"prepend"`
		Pattern     json.RawMessage   `json:"pattern"`
		Content     string            `json:"content"`
		StripLeft   bool              `json:"strip_left"`
		StripRight  bool              `json:"strip_right"`
		Charsmap    json.RawMessage   `json:"precompiled_charsmap"`
		Clean       bool              `json:"clean_text"`
		Chinese     bool              `json:"handle_chinese_chars"`
		Accents     *bool             `json:"strip_accents"`
		Lowercase   bool              `json:"lowercase"`
	}
	if absent(raw) {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	switch f.Type {
	case "Sequence":
		return parseSequence(f.Normalizers, depth, "normalizer", parseNormalizer)
	case "NFC":
		return []normalizer{unicodeForm{norm.NFC}}, nil
	case "NFD":
		return []normalizer{unicodeForm{norm.NFD}}, nil
	case "NFKC":
		return []normalizer{unicodeForm{norm.NFKC}}, nil
	case "NFKD":
		return []normalizer{unicodeForm{norm.NFKD}}, nil
	case "Lowercase":
		return []normalizer{lowercase{}}, nil
	case "StripAccents":
		return []normalizer{eachChar{stripAccents}}, nil
	case "Nmt":
		return []normalizer{eachChar{nmt}}, nil
	case "BertNormalizer":
		strip := f.Lowercase
		if f.Accents != nil {
			strip = *f.Accents
		}
		return bertNormalizer(f.Clean, f.Chinese, strip, f.Lowercase), nil
	case "Precompiled":
		p, err := parsePrecompiled(f.Charsmap)
		if err != nil {
			return nil, err
		}
		return []normalizer{p}, nil
	case "Prepend":
		return []normalizer{prepend{f.Prepend}}, nil
	case "Strip":
		return []normalizer{strip{f.StripLeft, f.StripRight}}, nil
	case "ByteLevel":
		return []normalizer{byteRunes{}}, nil
	case "Replace":
		m, err := parsePattern(f.Pattern)
		if err != nil {
			return nil, fmt.Errorf("normalizer Replace: %w", err)
		}
		return []normalizer{replace{m, f.Content}}, nil
	}
	return nil, fmt.Errorf("normalizer of type %q is not supported", f.Type)
}

// parseSequence parses the components of a Sequence and joins them.
func parseSequence[T any](parts []json.RawMessage, depth int, what string, parse func(json.RawMessage, int) ([]T, error)) ([]T, error) {
	if depth >= maxNesting {
		return nil, fmt.Errorf("%s: sequences are nested more than %d deep", what, maxNesting)
	}
	var all []T
	for i, p := range parts {
		one, err := parse(p, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s Sequence, part %d: %w", what, i, err)
		}
		if all = append(all, one...); len(all) > maxSteps {
			return nil, fmt.Errorf("%s has more than %d steps", what, maxSteps)
		}
	}
	return all, nil
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

type prepend struct{ text string }

func (p prepend) normalize(a aligned) (aligned, error) {
	if a.s == "" {
		return a, nil
	}
	r := rewrite(a, len(p.text))
	r.put(p.text, 0, 0)
	r.keep(0, len(a.s))
	return r.done(), nil
}

type replace struct {
	pattern matcher
	content string
}

func (p replace) normalize(a aligned) (aligned, error) {
	if a.s == "" {
		return a, nil
	}
	parts, err := p.pattern.cut(nil, a.s)
	if err != nil {
		return a, fmt.Errorf("normalizer Replace: %w", err)
	}
	found, size := false, len(a.s)
	for _, part := range parts {
		if part.match {
			found = true
			size += len(p.content) - int(part.hi-part.lo)
		}
	}
	if !found {
		return a, nil
	}
	if err := checkGrowth(len(a.s), size); err != nil {
		return a, fmt.Errorf("normalizer Replace: %w", err)
	}
	r := rewrite(a, size-len(a.s))
	for _, part := range parts {
		if part.match {
			r.put(p.content, int(part.lo), int(part.hi))
		} else {
			r.keep(int(part.lo), int(part.hi))
		}
	}
	return r.done(), nil
}

type strip struct{ left, right bool }

func (p strip) normalize(a aligned) (aligned, error) {
	lo, hi := 0, len(a.s)
	if p.left {
		lo = hi - len(strings.TrimLeftFunc(a.s, unicode.IsSpace))
	}
	if p.right {
		hi = lo + len(strings.TrimRightFunc(a.s[lo:], unicode.IsSpace))
	}
	if a.at == nil {
		return aligned{s: a.s[lo:hi], base: a.base + int32(lo), mem: a.mem}, nil
	}
	return aligned{s: a.s[lo:hi], at: a.at[lo:hi], base: a.base, mem: a.mem}, nil
}

type lowercase struct{}

func (lowercase) normalize(a aligned) (aligned, error) {
	var r *rewriter // nil = nothing has changed yet
	kept := 0
	var buf [utf8.UTFMax]byte
	for i, c := range a.s {
		low := lower(c)
		if low == c {
			continue
		}
		if r == nil {
			r = rewrite(a, 0)
		}
		r.keep(kept, i)
		kept = i + utf8.RuneLen(c)
		if c == 'İ' { // the one character whose lower case is two
			r.put("i\u0307", i, kept)
		} else {
			r.put(string(utf8.AppendRune(buf[:0], low)), i, kept)
		}
	}
	if r == nil {
		return a, nil
	}
	r.keep(kept, len(a.s))
	return r.done(), nil
}

// byteRunes writes each byte as the character that stands for it in byte-level vocabularies.
type byteRunes struct{}

func (byteRunes) normalize(a aligned) (aligned, error) {
	r := rewrite(a, len(a.s)/8)
	r.bytesAsRunes(0, len(a.s))
	return r.done(), nil
}

func (r *rewriter) bytesAsRunes(lo, hi int) {
	for i := lo; i < hi; i++ {
		at := span32{r.from.start(i), r.from.end(i + 1)}
		r.putAt(byteToken(r.from.s[i]), at)
	}
}
