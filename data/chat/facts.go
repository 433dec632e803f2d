package chat

import (
	"slices"

	"attune/data/jinja"
	"attune/data/tokenizer"
)

// facts are what rendering and encoding need to know of a tokenizer, made once for it.
type facts struct {
	tok      Tokenizer
	specials map[string]string // what a template sees as bos_token and so on
	tokens   []string          // the strings that are special, the end token among them
	stops    []string          // those of them that generation_config.json names
	special  *tokenizer.Finder // of tokens
	plain    *tokenizer.Finder // of the added tokens that any text may use
}

// about gives the facts of a tokenizer.
func (t *Template) about(tok Tokenizer) *facts {
	if t != nil {
		if f := t.facts.Load(); f != nil && f.tok == tok {
			return f
		}
	}
	f := &facts{tok: tok, tokens: tok.SpecialTokens(), plain: tokenizer.NewFinder(tok.PlainAddedTokens()), specials: map[string]string{}}
	for _, role := range []struct {
		name string
		get  func() (string, int32, bool)
	}{{"bos_token", tok.BOS}, {"eos_token", tok.EOS}, {"pad_token", tok.PAD}, {"unk_token", tok.UNK}} {
		if s, _, ok := role.get(); ok && s != "" {
			f.specials[role.name] = s
		}
	}
	if eos := f.specials["eos_token"]; eos != "" && !slices.Contains(f.tokens, eos) {
		f.tokens = append(f.tokens, eos)
	}
	for _, s := range f.tokens {
		if id, ok := tok.ID(s); ok && t != nil && slices.Contains(t.stops, id) {
			f.stops = append(f.stops, s)
		}
	}
	f.special = tokenizer.NewFinder(f.tokens)
	if t != nil {
		t.facts.Store(f)
	}
	return f
}

// fill puts the tokenizer's facts into options that do not say otherwise.
func (f *facts) fill(o RenderOptions) RenderOptions {
	if o.Specials == nil {
		o.Specials = f.specials
	}
	if o.SpecialTokens == nil {
		o.SpecialTokens, o.StopTokens, o.special = f.tokens, f.stops, f.special
	}
	return o
}

// literal gives the ranges of a rendered text that are data: the row's words, less the added tokens that any text may
// use, and with every special-token string in them whole. Sorted and disjoint, as the tokenizer wants them.
func (f *facts) literal(text string, words []Span) []Span {
	var holes []Span
	for _, w := range words {
		n := len(holes)
		holes = f.plain.Find(holes, text[w.Start:w.End])
		for k := n; k < len(holes); k++ {
			holes[k].Start += w.Start
			holes[k].End += w.Start
		}
	}
	if len(holes) == 0 {
		return words
	}
	other := subtract([]Span{{Start: 0, End: len(text)}}, f.special.Find(nil, text))
	return union(append(subtract(words, union(holes)), subtract(words, other)...))
}

// union sorts ranges and joins those that touch.
func union(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return a.End - b.End
	})
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}

// subtract takes holes out of spans; both are sorted and disjoint.
func subtract(spans, holes []Span) []Span {
	var out []Span
	for _, s := range spans {
		for len(holes) > 0 && holes[0].End <= s.Start {
			holes = holes[1:]
		}
		at := s.Start
		for _, h := range holes {
			if h.Start >= s.End {
				break
			}
			if h.Start > at {
				out = append(out, Span{Start: at, End: h.Start})
			}
			at = max(at, h.End)
		}
		if at < s.End {
			out = append(out, Span{Start: at, End: s.End})
		}
	}
	return out
}

// words are the ranges of a rendering that came from the row, roles aside: a template builds its markers from those.
func words(r jinja.Result) []Span {
	var out []Span
	for _, s := range r.Spans {
		if s.Field == fieldRole && harmless(r.Text[s.Start:s.End]) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].End == s.Start {
			out[n-1].End = s.End
			continue
		}
		out = append(out, Span{Start: s.Start, End: s.End})
	}
	return out
}

// harmless: a role that is a word and so cannot hold a marker of its own.
func harmless(role string) bool {
	for _, c := range []byte(role) {
		if c != '_' && c != '-' && (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
