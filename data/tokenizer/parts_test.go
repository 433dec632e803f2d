package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// pieces cuts a text with a pre-tokenizer and gives the pieces as strings.
func pieces(t *testing.T, part obj, text string) []string {
	t.Helper()
	tok := tiny{PreTokenizer: part, Model: obj{"vocab": obj{}, "merges": []string{}}}.parse(t)
	w := words{text: aligned{s: text}, pieces: []piece{{0, int32(len(text)), false}}}
	for _, p := range tok.preTokenizers {
		if err := p.apply(&w); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for _, p := range w.pieces {
		all = append(all, w.text.s[p.lo:p.hi])
	}
	return all
}

// The pieces are those that the tokenizers library gives (0.23).
func TestPreTokenizers(t *testing.T) {
	split := func(behavior string, invert bool) obj {
		return obj{"type": "Split", "pattern": obj{"String": "-"}, "behavior": behavior, "invert": invert}
	}
	const countdown = "the-final--countdown"
	for _, c := range []struct {
		part obj
		text string
		want []string
	}{
		{split("Removed", false), countdown, []string{"the", "final", "countdown"}},
		{split("Isolated", false), countdown, []string{"the", "-", "final", "-", "-", "countdown"}},
		{split("MergedWithPrevious", false), countdown, []string{"the-", "final-", "-", "countdown"}},
		{split("MergedWithNext", false), countdown, []string{"the", "-final", "-", "-countdown"}},
		{split("Contiguous", false), countdown, []string{"the", "-", "final", "--", "countdown"}},
		{split("Removed", true), countdown, []string{"-", "-", "-"}},
		{obj{"type": "Digits", "individual_digits": true}, "ab12½c", []string{"ab", "1", "2", "½", "c"}},
		{obj{"type": "Digits", "individual_digits": false}, "ab12½c", []string{"ab", "12½", "c"}},
		{obj{"type": "Punctuation"}, "Hi, $5!?", []string{"Hi", ",", " ", "$", "5", "!", "?"}},
		{obj{"type": "Whitespace"}, "Hi, you_2  there!?", []string{"Hi", ",", "you_2", "there", "!?"}},
		{obj{"type": "WhitespaceSplit"}, " Hi,\u3000you\n", []string{"Hi,", "you"}},
		{obj{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}, "Hi  you", []string{"▁Hi", "▁", "▁you"}},
		{obj{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": false}, "Hi you", []string{"Hi▁you"}},
		{obj{"type": "ByteLevel", "add_prefix_space": true, "use_regex": true}, "I'll go12  \n on", []string{" I", "'ll", " go", "12", "  \n", " on"}},
		{obj{"type": "Split", "pattern": obj{"Regex": `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}, "behavior": "Isolated"}, "I'LL  (go)\n\n 12345 x", []string{"I", "'LL", " ", " (", "go", ")\n\n", " ", "123", "45", " x"}},
	} {
		if got := pieces(t, c.part, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%v of %q:\n got %q\nwant %q", c.part, c.text, got, c.want)
		}
	}
}

// Where a text has no run of more than 30 marks, package norm is the reference.
func TestUnicodeForms(t *testing.T) {
	for _, form := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.OneOf(textGen(), rapid.StringOf(rapid.SampledFrom([]rune("aeAE\u0301\u0323\u0307\u0327\u0345\u1fb3\u1100\u1161\u11a8가각ﬁΩ한")))).Draw(t, "text")
			if strings.ContainsFunc(text, func(r rune) bool { return unknownForm(r, norm.NFKD) || inRanges(otherMark, r) }) {
				t.Skip("the tokenizers library's Unicode is older than that of package norm")
			}
			a, err := unicodeForm{form}.normalize(aligned{s: text})
			if err != nil || a.s != form.String(text) {
				t.Fatalf("form %d of %+q: %+q, want %+q (%v)", form, text, a.s, form.String(text), err)
			}
			if a.at != nil && len(a.at) != len(a.s) {
				t.Fatalf("%d spans for %d bytes", len(a.at), len(a.s))
			}
		})
	}
}

func TestOffsets(t *testing.T) {
	for _, c := range []struct {
		p     tiny
		text  string
		words []string
		at    []Span
	}{
		{byteBPE(nil), "hello é", []string{"hello", "Ġ", "Ã©"}, []Span{{0, 5}, {5, 6}, {6, 8}}},
		{byteBPE(nil), "🦙", []string{"ðŁ¦", "Ļ"}, []Span{{0, 3}, {3, 4}}}, // within a character
		{byteBPE(obj{"type": "NFC"}), "he\u0301🦙", []string{"h", "Ã©", "ðŁ¦", "Ļ"}, []Span{{0, 1}, {1, 4}, {4, 7}, {7, 8}}},
		{sentencePiece(false), "hello  wo é", []string{"<s>", "▁hello", "▁▁", "wo", "▁", "<0xC3>", "<0xA9>"},
			[]Span{{0, 0}, {0, 5}, {5, 7}, {7, 9}, {9, 10}, {10, 11}, {11, 12}}},
	} {
		tok := c.p.parse(t)
		enc := encode(t, tok, c.text, Options{AddSpecial: true})
		if got := enc.strings(tok); !slices.Equal(got, c.words) || !slices.Equal(enc.Offsets, c.at) {
			t.Errorf("%q:\n got %q at %v\nwant %q at %v", c.text, got, enc.Offsets, c.words, c.at)
		}
	}
}

func TestUnknown(t *testing.T) {
	tok := sentencePiece(true).parse(t) // no tokens for the bytes of é and ö
	enc := encode(t, tok, "héöo", Options{})
	if got, want := enc.strings(tok), []string{"▁", "h", "<unk>", "o"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := []Span{{0, 0}, {0, 1}, {1, 5}, {5, 6}}; !slices.Equal(enc.Offsets, want) {
		t.Errorf("offsets %v, want %v", enc.Offsets, want)
	}
	// Without an unknown token, characters outside the vocabulary are left out.
	none := tiny{Model: obj{"vocab": charVocab("ab"), "merges": []string{}}}.parse(t)
	if enc := encode(t, none, "axb", Options{}); !slices.Equal(enc.IDs, []int32{0, 1}) || enc.Offsets[1] != (Span{2, 3}) {
		t.Errorf("got %v at %v", enc.IDs, enc.Offsets)
	}
}

func TestAddedTokens(t *testing.T) {
	model := obj{"vocab": charVocab("abc <>|\t.y"), "merges": []string{}}
	for _, c := range []struct {
		token   addedToken
		text    string
		literal []Span
		want    []Span // where the added token stands
	}{
		{addedToken{Content: "<a>"}, "b<a><a>", nil, []Span{{1, 4}, {4, 7}}},
		{addedToken{Content: "<a>"}, "b<a><a>", []Span{{0, 2}}, []Span{{4, 7}}},
		{addedToken{Content: "<a>"}, "<a><a>", []Span{{3, 3}}, []Span{{0, 3}, {3, 6}}},
		{addedToken{Content: "<a>"}, "<a>", []Span{{2, 3}}, nil},
		{addedToken{Content: "<a>", LStrip: true}, "b \t<a> c", nil, []Span{{1, 6}}},
		{addedToken{Content: "<a>", LStrip: true}, "b \t<a> c", []Span{{0, 2}}, []Span{{2, 6}}}, // data keeps its blank
		{addedToken{Content: "<a>", RStrip: true}, "b <a> \tc", nil, []Span{{2, 7}}},
		{addedToken{Content: "<a>", RStrip: true}, "b <a> \tc", []Span{{6, 8}}, []Span{{2, 6}}},
		{addedToken{Content: "aa", SingleWord: true}, "aa aab aa.", nil, []Span{{0, 2}, {7, 9}}},
		{addedToken{Content: "A", Normalized: true}, "bAa", nil, []Span{{1, 2}, {2, 3}}}, // matched in lower case
		{addedToken{Content: "A"}, "bAa", nil, []Span{{1, 2}}},
		{addedToken{Content: "A", Normalized: true}, "bAa", []Span{{0, 2}}, []Span{{2, 3}}},
	} {
		tok := tiny{Added: []addedToken{c.token}, Normalizer: obj{"type": "Lowercase"}, Model: model}.parse(t)
		id, ok := tok.added[c.token.Content]
		enc := encode(t, tok, c.text, Options{Literal: c.literal})
		var got []Span
		for i, o := range enc.Offsets {
			if enc.IDs[i] == id {
				got = append(got, o)
			}
		}
		if !ok || !slices.Equal(got, c.want) {
			t.Errorf("%+v in %q, data %v: at %v, want %v", c.token, c.text, c.literal, got, c.want)
		}
	}
}

// The longest of several tokens counts, unless it would reach into data.
func TestLongestAddedToken(t *testing.T) {
	tok := byteBPE(nil).parse(t)
	tokens := func(literal []Span) []string {
		enc := encode(t, tok, "<|ab|><|a|>", Options{Literal: literal})
		return enc.strings(tok)
	}
	if got, want := tokens(nil), []string{"<|ab|>", "<|a|>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := tokens([]Span{{0, 6}}), []string{"<", "|", "a", "b", "|", ">", "<|a|>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIgnoreMerges(t *testing.T) {
	p := byteBPE(nil)
	p.Model["vocab"].(obj)["Ã©h"] = 300 // no merge makes it
	if tok := p.parse(t); len(encode(t, tok, "éh", Options{}).IDs) != 2 {
		t.Error("a token that no merge makes was used")
	}
	p.Model["ignore_merges"] = true
	if tok := p.parse(t); !slices.Equal(encode(t, tok, "éh", Options{}).IDs, []int32{300}) {
		t.Error("ignore_merges does not take the whole word")
	}
}

func TestPrefixAndSuffix(t *testing.T) {
	tok := tiny{PreTokenizer: obj{"type": "WhitespaceSplit"}, Model: obj{
		"vocab":                     vocab("a", "a</w>", "##b", "##b</w>", "##c", "##bc", "a##bc"),
		"continuing_subword_prefix": "##", "end_of_word_suffix": "</w>", "merges": []string{"##b ##c"},
	}}.parse(t)
	enc := encode(t, tok, "a abcb", Options{})
	if got, want := enc.strings(tok), []string{"a</w>", "a", "##bc", "##b</w>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRoles(t *testing.T) {
	p := sentencePiece(false)
	tok, err := Parse(p.json(t), []byte(`{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null}`))
	if err != nil {
		t.Fatal(err)
	}
	if s, id, ok := tok.BOS(); s != "<s>" || id != 1 || !ok {
		t.Error("BOS", s, id, ok)
	}
	if s, id, ok := tok.EOS(); s != "</s>" || id != 2 || !ok {
		t.Error("EOS", s, id, ok)
	}
	if s, _, ok := tok.PAD(); s != "" || ok {
		t.Error("PAD", s, ok)
	}
	if s, id, ok := tok.UNK(); s != "<unk>" || id != 0 || !ok {
		t.Error("UNK", s, id, ok)
	}
	if got := tok.SpecialTokens(); !slices.Equal(got, []string{"<unk>", "<s>", "</s>"}) {
		t.Error("special tokens", got)
	}
	if !tok.IsSpecial(1) || tok.IsSpecial(3) || tok.VocabSize() != len(p.Model["vocab"].(obj)) {
		t.Error("special or size", tok.IsSpecial(1), tok.IsSpecial(3), tok.VocabSize())
	}
}

func TestWriteByteLevel(t *testing.T) {
	dir := t.TempDir()
	specials := []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	if err := WriteByteLevel(into(dir), specials, Roles{EOS: "<|im_end|>", PAD: "<|endoftext|>"}, "{{ messages }}"); err != nil {
		t.Fatal(err)
	}
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	// The ids are those that the tokenizers library gives for this file.
	enc := encode(t, tok, "<|im_start|>hé\n", Options{AddSpecial: true})
	if want := []int32{1, 74, 130, 105, 201}; !slices.Equal(enc.IDs, want) || tok.VocabSize() != 259 {
		t.Errorf("ids %v, want %v; %d ids", enc.IDs, want, tok.VocabSize())
	}
	if s, id, ok := tok.EOS(); s != "<|im_end|>" || id != 2 || !ok {
		t.Error("EOS", s, id, ok)
	}
	config, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil || !strings.Contains(string(config), `"chat_template": "{{ messages }}"`) {
		t.Errorf("%s %v", config, err)
	}
	if err := WriteByteLevel(into(dir), specials, Roles{BOS: "<s>"}, ""); err == nil {
		t.Error("a role that is not among the specials was taken")
	}
}

// into puts files into a directory.
func into(dir string) func(string, []byte) error {
	return func(name string, b []byte) error { return os.WriteFile(filepath.Join(dir, name), b, 0o600) }
}
