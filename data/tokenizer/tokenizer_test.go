package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// textGen draws texts with blanks, marks, cut-up words and special tokens in them.
func textGen() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.SampledFrom([]string{" ", "  ", "\n", "hello", " hello", "aaaaa", "é", "e\u0301", "q\u0307\u0323", "🦙", "한", "\u1112\u1161\u11ab",
			"<|a|>", "<|ab|>", "<think>", "<|", "|>", "<s>", "</s>", "<0x41>", "12", "'s", "don't", "▁", "Ġ", "日本", "\u0301", "ﬁ", "\x00"}),
		rapid.String(),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
	})
}

// literalGen draws sorted ranges of a text.
func literalGen(t *rapid.T, text string) []Span {
	cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 6).Draw(t, "cuts")
	slices.Sort(cuts)
	var all []Span
	for i := 0; i+1 < len(cuts); i += 2 {
		all = append(all, Span{cuts[i], cuts[i+1]})
	}
	return all
}

// A byte-level tokenizer without a normalizer loses nothing: tokens cover the text without gaps, decoding gives it
// back, and no special token stands in text that is data.
func TestByteLevelRoundTrip(t *testing.T) {
	p := byteBPE(nil)
	p.Added[1].LStrip = false // a token that takes blanks with it does lose them
	tok := p.parse(t)
	rapid.Check(t, func(t *rapid.T) {
		text := textGen().Draw(t, "text")
		literal := literalGen(t, text)
		enc, err := tok.Encode(text, Options{Literal: literal})
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for i, o := range enc.Offsets {
			if o.Start != at || o.End <= at {
				t.Fatalf("token %d covers %v, the one before ends at %d", i, o, at)
			}
			at = o.End
			_, added := tok.byID[enc.IDs[i]]
			for _, l := range literal {
				if added && o.Start < l.End && l.Start < o.End {
					t.Fatalf("added token at %v overlaps data at %v", o, l)
				}
			}
		}
		if at != len(text) {
			t.Fatalf("tokens end at %d of %d", at, len(text))
		}
		if got := tok.Decode(enc.IDs, false); got != text {
			t.Fatalf("decoded %q", got)
		}
	})
}

// With a normalizer, offsets still lie in the text, in order, and cover all of it.
func TestOffsetsThroughNormalizers(t *testing.T) {
	for _, kind := range []string{"NFC", "NFD", "NFKC", "NFKD", "Lowercase"} {
		tok := byteBPE(obj{"type": kind}).parse(t)
		rapid.Check(t, func(t *rapid.T) {
			text := textGen().Draw(t, "text")
			enc, err := tok.Encode(text, Options{Literal: literalGen(t, text)})
			if err != nil {
				t.Fatal(err)
			}
			last := Span{}
			for i, o := range enc.Offsets {
				if o.Start < last.Start || o.End < last.End || o.Start > last.End || o.End > len(text) {
					t.Fatalf("%s: token %d covers %v after %v, of %d bytes", kind, i, o, last, len(text))
				}
				last = o
			}
			if last.End != len(text) {
				t.Fatalf("%s: tokens end at %d of %d", kind, last.End, len(text))
			}
		})
	}
}

// Decoding token by token gives the same text in whole characters, for any ids.
func TestStreamEqualsDecode(t *testing.T) {
	loose := tiny{
		Decoder: obj{"type": "Sequence", "decoders": []any{
			obj{"type": "Fuse"}, obj{"type": "Strip", "content": "a", "start": 1, "stop": 2},
			obj{"type": "Replace", "pattern": obj{"Regex": "b+"}, "content": "_"},
		}},
		Model: obj{"vocab": charVocab("abc", "aa", "bb"), "merges": []string{}},
	}
	ctc := tiny{
		Decoder: obj{"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": true},
		Model:   obj{"vocab": charVocab("abc"), "merges": []string{}},
	}
	all := small(t)
	for name, p := range map[string]tiny{"byte level": byteBPE(nil), "byte fallback": sentencePiece(false), "held back": loose, "repeated": ctc} {
		all[name] = p.parse(t)
	}
	for name, tok := range all {
		rapid.Check(t, func(t *rapid.T) {
			ids := rapid.SliceOf(rapid.Int32Range(-1, int32(tok.VocabSize()))).Draw(t, "ids")
			skip := rapid.Bool().Draw(t, "skip")
			s := tok.NewStream(skip)
			var b strings.Builder
			for _, id := range ids {
				text := s.Push(id)
				if !utf8.ValidString(text) {
					t.Fatalf("%s: part %q is not UTF-8", name, text)
				}
				b.WriteString(text)
			}
			b.WriteString(s.Flush())
			if want := tok.Decode(ids, skip); b.String() != want {
				t.Fatalf("%s: streamed %q, decoded %q", name, b.String(), want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		p      tiny
		tokens []string
		skip   bool
		want   string
	}{
		{byteBPE(nil), []string{"hello", "Ġhello", "<|a|>", "Ã©"}, false, "hello hello<|a|>é"},
		{byteBPE(nil), []string{"<|a|>", "hello", "<think>"}, true, "hello<think>"},
		{byteBPE(nil), []string{"ðŁ", "ðŁ¦", "Ļ"}, false, "\uFFFD🦙"},                               // one for each cut character
		{byteBPE(nil), []string{"ðŁ¦", "h", "Ļ", "Ļ"}, false, "\uFFFDh\uFFFD\uFFFD"},               // and for each stray byte
		{sentencePiece(false), []string{"▁hello", "▁▁", "wo"}, false, "hello  wo"},                 // the first blank goes
		{sentencePiece(false), []string{"<0xC3>", "<0xA9>", "<s>", "h"}, true, "éh"},               // a run of bytes
		{sentencePiece(false), []string{"<0xC3>", "<0xA9>", "<0xA9>"}, true, "\uFFFD\uFFFD\uFFFD"}, // all of it counts
	} {
		tok := c.p.parse(t)
		var ids []int32
		for _, s := range c.tokens {
			id, ok := tok.ID(s)
			if !ok {
				t.Fatalf("no token %q", s)
			}
			ids = append(ids, id)
		}
		if got := tok.Decode(ids, c.skip); got != c.want {
			t.Errorf("decode %q: %q, want %q", c.tokens, got, c.want)
		}
	}
}

// The stream must not wait for the end where it need not.
func TestStreamIsIncremental(t *testing.T) {
	tok := byteBPE(nil).parse(t)
	s := tok.NewStream(false)
	var got []string
	for _, token := range []string{"hello", "ðŁ", "¦", "Ļ", "Ġhello"} {
		id, _ := tok.ID(token)
		got = append(got, s.Push(id))
	}
	if want := []string{"hello", "", "", "🦙", " hello"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	tok = sentencePiece(false).parse(t)
	s = tok.NewStream(false)
	got = nil
	for _, token := range []string{"▁hello", "<0xC3>", "<0xA9>", "▁hello"} {
		id, _ := tok.ID(token)
		got = append(got, s.Push(id))
	}
	if want := []string{"hello", "", "", "é hello"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// mergeHeap must find what the plain definition, mergeSmall, finds.
func TestHeapEqualsPlain(t *testing.T) {
	m := byteBPE(nil).parse(t).model.(*bpe)
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.SampledFrom([]rune("hhelloa ")), 1, 200, -1).Draw(t, "word")
		var results [2][]symbol
		for i, merge := range []func(*bpe, *merger){(*bpe).mergeSmall, (*bpe).mergeHeap} {
			w := &merger{}
			if err := m.symbolize(w, word); err != nil {
				t.Fatal(err)
			}
			m.link(w.symbols)
			merge(m, w)
			results[i] = w.symbols
		}
		same := func(a, b symbol) bool { return a.id == b.id && a.lo == b.lo && a.hi == b.hi }
		if !slices.EqualFunc(results[0], results[1], same) {
			t.Fatalf("plain %v\nheap %v", results[0], results[1])
		}
	})
}

// Long words and long runs must come out right, and come out: quadratic time would not end within the test's limit.
func TestLongWords(t *testing.T) {
	const n = 1 << 20
	tok := byteBPE(nil).parse(t)
	four, _ := tok.ID("aaaa")
	enc := encode(t, tok, strings.Repeat("a", n), Options{})
	if want := slices.Repeat([]int32{four}, n/4); !slices.Equal(enc.IDs, want) {
		t.Errorf("%d tokens, want %d times aaaa", len(enc.IDs), n/4)
	}
	llama := encode(t, tok, strings.Repeat("🦙", 100_000), Options{})
	if got := encode(t, tok, "🦙", Options{}); len(llama.IDs) != 100_000*len(got.IDs) {
		t.Errorf("%d tokens for 100000 emoji, %d for one", len(llama.IDs), len(got.IDs))
	}
	sp := sentencePiece(false).parse(t)
	enc = encode(t, sp, strings.Repeat("hello", n/5), Options{})
	if got := sp.Decode(enc.IDs, false); got != strings.Repeat("hello", n/5) {
		t.Errorf("a long word of a SentencePiece-style tokenizer decodes to %d bytes", len(got))
	}
	marks := "e" + strings.Repeat("\u0301\u0323", n/8)
	nfc := byteBPE(obj{"type": "NFC"}).parse(t)
	// The lower mark goes first in canonical order and joins the letter: ẹ, then all the others of it, then the upper.
	want := "ẹ" + strings.Repeat("\u0323", n/8-1) + strings.Repeat("\u0301", n/8)
	if got := nfc.Decode(encode(t, nfc, marks, Options{}).IDs, false); got != want {
		t.Errorf("marks are not in canonical order: %.20q", got)
	}
}

// One long word costs every model, normalizer and pre-tokenizer time by its length, however often it repeats itself.
func TestLongWordsOfEveryModel(t *testing.T) {
	for name, tok := range small(t) {
		for unit, n := range map[string]int{
			"a": 1 << 20, " ": 1 << 20, "🦙": 100_000, "\n": 1 << 14, "é": 1 << 14, "e\u0301": 1 << 14, "中": 1 << 14, "#": 1 << 14, "A b ": 1 << 14, "<unk>": 1 << 14, "[SEP]": 1 << 14,
		} {
			text := strings.Repeat(unit, n)
			enc := encode(t, tok, text, Options{Literal: []Span{{0, len(text)}}})
			checkOffsets(t, text, enc)
			tok.Decode(enc.IDs, false)
		}
		if name == "unigram-bytes" { // one word: nothing is cut before the model
			text := strings.Repeat("🦙", 100_000)
			if enc := encode(t, tok, text, Options{}); len(enc.IDs) != 1+4*100_000 {
				t.Errorf("%d tokens for 100000 emoji in bytes", len(enc.IDs))
			}
		}
	}
}

// Encoding from many goroutines gives what one gives; run with -race.
func TestConcurrent(t *testing.T) {
	shared, alone := small(t), small(t)
	for name, p := range map[string]tiny{"byte level": byteBPE(obj{"type": "NFC"}), "byte fallback": sentencePiece(false)} {
		shared[name], alone[name] = p.parse(t), p.parse(t)
	}
	for name, tok := range shared {
		var texts []string
		var want [][]int32
		for i := range 200 {
			text := fmt.Sprintf("hello %d e\u0301 <|a|> wörld%s", i*i, strings.Repeat(" hello", i%7))
			texts = append(texts, text)
			want = append(want, encode(t, alone[name], text, Options{AddSpecial: true}).IDs)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for k := range texts {
					i := (k*7 + g*31) % len(texts)
					enc, err := tok.Encode(texts[i], Options{AddSpecial: true})
					if err != nil || !slices.Equal(enc.IDs, want[i]) {
						t.Errorf("%q: %v %v, want %v", texts[i], enc.IDs, err, want[i])
						return
					}
				}
			})
		}
		wg.Wait()
	}
}
