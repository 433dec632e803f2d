package tokenizer

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// small are the tokenizers that scripts/goldens/tokenizers.py --train trained: one of every kind of model.
func small(t testing.TB) map[string]*Tokenizer {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*Tokenizer{}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join("testdata", e.Name(), "tokenizer.json")); err != nil {
			continue // of the fuzzer
		}
		tok, err := Load(filepath.Join("testdata", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = tok
	}
	if len(all) < 7 {
		t.Fatalf("testdata has %d tokenizers", len(all))
	}
	return all
}

// TestSmall holds the small tokenizers to Hugging Face tokenizers 0.23.
func TestSmall(t *testing.T) {
	for name, tok := range small(t) {
		t.Run(name, func(t *testing.T) { checkVectors(t, tok, filepath.Join("testdata", name), 50) })
	}
}

// holdingSpecials are tokenizers whose models would make their special tokens out of plain text.
func holdingSpecials(t testing.TB) map[string]*Tokenizer {
	special := []addedToken{{Content: "<s>", Special: true}, {Content: "<unk>", Special: true}, {Content: "a", Special: true}}
	part := func(model obj) *Tokenizer {
		return tiny{Added: special, PreTokenizer: obj{"type": "WhitespaceSplit"}, Model: model}.parse(t)
	}
	v := vocab("<unk>", "<s>", "<", "s", ">", "a", "<s", "b", "ab", "<u", "nk>", "##>", "##s", "##a", "##b", "<0x61>")
	pieces := [][2]any{{"<unk>", 0}, {"<s>", 0}, {"a", -1}, {"b", -1}, {"ab", -3}, {"<", -5}, {"<0x61>", -9}}
	return map[string]*Tokenizer{
		"merges":         part(obj{"vocab": v, "merges": []string{"< s", "<s >", "a b"}, "unk_token": "<unk>"}),
		"whole words":    part(obj{"vocab": v, "merges": []string{"< s"}, "ignore_merges": true}),
		"characters":     part(obj{"vocab": v, "merges": []string{}, "byte_fallback": true}),
		"unigram":        part(obj{"type": "Unigram", "vocab": pieces, "unk_id": 0}),
		"unigram, fused": part(obj{"type": "Unigram", "vocab": [][2]any{{"<unk>", 0}, {"<s>", 0}, {"a", 0}}, "unk_id": 0}),
		"unigram, bytes": part(obj{"type": "Unigram", "vocab": pieces, "unk_id": 0, "byte_fallback": true}),
		"wordpiece":      part(obj{"type": "WordPiece", "vocab": v, "unk_token": "<unk>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}),
		"wordlevel":      part(obj{"type": "WordLevel", "vocab": v, "unk_token": "<unk>"}),
		"byte level":     byteBPE(nil).parse(t),
		"byte fallback":  sentencePiece(false).parse(t),
	}
}

// The law of data: whatever a text holds, a literal text never becomes a special token, of whatever kind the model is.
// The token for what is unknown is what such a text may become.
func TestLiteralHasNoSpecialTokens(t *testing.T) {
	all := holdingSpecials(t)
	maps.Copy(all, small(t))
	for name, tok := range all {
		specials := tok.SpecialTokens()
		unk, hasUnk := tok.model.id(tok.model.unknown())
		part := rapid.OneOf(rapid.SampledFrom(append(specials, " ", "  ", "a", "b", "<", "s>", "ab", "\n")), rapid.StringN(0, 4, -1))
		rapid.Check(t, func(t *rapid.T) {
			text := strings.Join(rapid.SliceOfN(part, 0, 8).Draw(t, "parts"), "")
			literal := literalGen(t, text)
			if rapid.Bool().Draw(t, "all") {
				literal = []Span{{0, len(text)}}
			}
			enc, err := tok.Encode(text, Options{Literal: literal})
			if err != nil {
				t.Fatal(err)
			}
			for i, id := range enc.IDs {
				if tok.IsSpecial(id) && !(hasUnk && id == unk) && overlaps(literal, enc.Offsets[i]) {
					s, _ := tok.Token(id)
					t.Fatalf("%s: %q of %q, data %v, becomes the special token %q", name, text[enc.Offsets[i].Start:enc.Offsets[i].End], text, literal, s)
				}
			}
		})
	}
}

// Where no special token's text stands, data is encoded as any text.
func TestLiteralChangesNothingElse(t *testing.T) {
	all := small(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		tok := all[name]
		empty := (&addedList{}).finder()
		none := &Tokenizer{exact: empty, normalized: empty, normalizers: tok.normalizers, preTokenizers: tok.preTokenizers, model: tok.model}
		rapid.Check(t, func(t *rapid.T) {
			text := textGen().Draw(t, "text")
			for _, s := range tok.SpecialTokens() {
				if strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
					t.Skip("holds a special token")
				}
			}
			plain, err := none.Encode(text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			data, err := tok.Encode(text, Options{Literal: []Span{{0, len(text)}}})
			if err != nil || !slices.Equal(plain.IDs, data.IDs) || !slices.Equal(plain.Offsets, data.Offsets) {
				t.Fatalf("%s: %q as data: %v (%v), want %v", name, text, data.IDs, err, plain.IDs)
			}
		})
	}
}

func TestLiteralSpecialText(t *testing.T) {
	tokens := func(name string, literal bool) []string {
		tok := holdingSpecials(t)[name]
		o := Options{Literal: []Span{{0, 0}}}
		if literal {
			o.Literal = []Span{{0, 3}}
		}
		enc := encode(t, tok, "<s>", o)
		return enc.strings(tok)
	}
	for name, want := range map[string][]string{
		"merges": {"<s", ">"}, "whole words": {"<s", ">"}, "unigram": {"<", "<unk>"}, "unigram, fused": {"<unk>"}, "wordpiece": {"<s", "##>"}, "wordlevel": {"<unk>"},
	} {
		if got := tokens(name, false); !slices.Equal(got, []string{"<s>"}) {
			t.Errorf("%s: %q, want the special token", name, got)
		}
		if got := tokens(name, true); !slices.Equal(got, want) {
			t.Errorf("%s: data becomes %q, want %q", name, got, want)
		}
	}
}

// The path that unigram finds has the highest score of all ways to cut a word.
func TestUnigramFindsTheBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.StringOfN(rapid.SampledFrom([]rune("abé")), 1, 4, -1)
		scores := rapid.MapOfN(piece, rapid.IntRange(-40, 5), 1, 12).Draw(t, "pieces")
		entries := []string{`["<unk>",0]`}
		least := 0
		for _, p := range slices.Sorted(maps.Keys(scores)) {
			entries = append(entries, fmt.Sprintf("[%q,%d]", p, scores[p]))
			least = min(least, scores[p])
		}
		tok, err := Parse([]byte(`{"model":{"unk_id":0,"vocab":[`+strings.Join(entries, ",")+`]}}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		word := rapid.StringOfN(rapid.SampledFrom([]rune("abé")), 1, 9, -1).Draw(t, "word")
		// best is the highest score of the way from i on.
		var best func(i int) int
		best = func(i int) int {
			if i == len(word) {
				return 0
			}
			_, n := utf8.DecodeRuneInString(word[i:])
			high := math.MinInt
			if _, ok := scores[word[i:i+n]]; !ok {
				high = least - unkPenalty + best(i+n)
			}
			for p, score := range scores {
				if strings.HasPrefix(word[i:], p) {
					high = max(high, score+best(i+len(p)))
				}
			}
			return high
		}
		w := &scratch{}
		if err := tok.model.(*unigram).cut(w, word); err != nil {
			t.Fatal(err)
		}
		if got := w.path[len(word)].score; got != float64(best(0)) {
			t.Fatalf("%q is cut with the score %v, the best is %d", word, got, best(0))
		}
		at := int32(0)
		for _, x := range w.symbols {
			if x.lo != at || x.hi <= x.lo {
				t.Fatalf("%q: a piece covers [%d,%d) behind %d", word, x.lo, x.hi, at)
			}
			at = x.hi
		}
	})
}

// The values are those that the tokenizers library writes back after reading these numbers.
func TestScores(t *testing.T) {
	for text, want := range map[string]float64{
		"-12.210668563842773": -12.210668563842772, "0.1": 0.1, "-7.2839274406433105": -7.2839274406433105,
		"123456789012345678901234567890": 1.2345678901234568e+29, "1.7976931348623157e308": 1.7976931348623157e+308,
		"-0.000001234567890123456789": -1.2345678901234567e-06, "5e-324": 5e-324, "2.2250738585072011e-308": 2.2250738585072014e-308,
		"18446744073709551615": 1.8446744073709552e+19, "18446744073709551616.5": 1.8446744073709552e+19, "1E+2": 100, "0": 0,
		"9007199254740993": 9007199254740992, "9007199254740993.0": 9007199254740994, "1e-400": 0, "12345678901234567890.1234e-5": 123456789012345.67,
	} {
		var s score
		if err := s.UnmarshalJSON([]byte(text)); err != nil || float64(s) != want {
			t.Errorf("%s is read as %v (%v), want %v", text, float64(s), err, want)
		}
	}
	var s score
	if err := s.UnmarshalJSON([]byte("1e400")); err == nil {
		t.Error("1e400 was read")
	}
}

// The type of a model that does not name it is guessed as the tokenizers library does.
func TestModelWithoutType(t *testing.T) {
	for json, want := range map[string]string{
		`{"vocab":{"a":0},"merges":[]}`: "*tokenizer.bpe",
		`{"vocab":{"a":0},"unk_token":"a","continuing_subword_prefix":"##","max_input_chars_per_word":9}`: "*tokenizer.wordPiece",
		`{"vocab":{"a":0},"unk_token":"a"}`: "*tokenizer.wordLevel",
		`{"vocab":[["a",0]],"unk_id":0}`:    "*tokenizer.unigram",
	} {
		tok, err := Parse([]byte(`{"model":`+json+`}`), nil)
		if err != nil || fmt.Sprintf("%T", tok.model) != want {
			t.Errorf("%s: %v, want %s", json, err, want)
		}
	}
}

func TestFinder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.SampledFrom([]rune("ab<é")), 0, 4, -1)
		contents := rapid.SliceOfN(s, 0, 8).Draw(t, "contents")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab<é")), 0, 40, -1).Draw(t, "text")
		var want []Span
		for i := 0; i < len(text); {
			longest := 0
			for _, c := range contents {
				if strings.HasPrefix(text[i:], c) {
					longest = max(longest, len(c))
				}
			}
			if longest > 0 {
				want = append(want, Span{i, i + longest})
			}
			i += max(longest, 1)
		}
		if got := NewFinder(contents).Find(nil, text); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: %v, want %v", contents, text, got, want)
		}
	})
}
