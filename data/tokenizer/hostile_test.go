package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// What a file asks for and cannot have is named in the error.
func TestErrorsNameThePart(t *testing.T) {
	ok := `"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`
	deep := strings.Repeat(`{"type":"Sequence","normalizers":[`, 40) + strings.Repeat(`]}`, 40)
	for _, c := range []struct{ json, names string }{
		{`{`, "tokenizer.json"},
		{`{"version":"2.0"}`, "version"},
		{`{}`, "model is missing"},
		{`{"model":{"type":"Trigram","vocab":[["a",0]]}}`, `"Trigram"`},
		{`{"model":{}}`, "vocab"},
		{`{"model":{"vocab":{"a":0}}}`, "unk_token"},
		{`{"model":{"type":"Unigram"}}`, "vocab"},
		{`{"model":{"type":"Unigram","vocab":[["a",0,1]]}}`, "3 parts"},
		{`{"model":{"type":"Unigram","vocab":[["a","b"]]}}`, "vocab"},
		{`{"model":{"type":"Unigram","vocab":[["a",-1e999]]}}`, "vocab"},
		{`{"model":{"type":"Unigram","vocab":[["a",0]],"unk_id":1}}`, "unk_id"},
		{`{"model":{"type":"Unigram","vocab":[["` + strings.Repeat("x", maxPiece+1) + `",0]]}}`, "piece"},
		{`{"model":{"type":"WordPiece","vocab":{"a":0},"unk_token":"a"}}`, "continuing_subword_prefix"},
		{`{"model":{"type":"WordLevel","vocab":{"a":0}}}`, "unk_token"},
		{`{"model":{"type":"BPE","vocab":{"a":0}}}`, "merges"},
		{`{"model":{"vocab":{"a":-1},"merges":[]}}`, "vocab"},
		{`{"model":{"vocab":{"a":4294967295},"merges":[]}}`, "vocab"},
		{`{"model":{"vocab":{"a":0},"merges":["a b c"]}}`, "merge 0"},
		{`{"model":{"vocab":{"a":0},"merges":[["a"]]}}`, "merge 0"},
		{`{"model":{"vocab":{"a":0},"merges":["a z"]}}`, `"z"`},
		{`{"model":{"vocab":{"a":0},"merges":["a a"]}}`, `"aa"`},
		{`{"model":{"vocab":{"a":0},"merges":[],"dropout":0.1}}`, "dropout"},
		{`{"normalizer":{"type":"Precompiled"},` + ok + `}`, "precompiled_charsmap"},
		{`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"?"},` + ok + `}`, "precompiled_charsmap"},
		{`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAA="},` + ok + `}`, "2 bytes"},
		{`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="},` + ok + `}`, "1073741823 entries"},
		{`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAAD/"},` + ok + `}`, "UTF-8"},
		{`{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Upper"}]},` + ok + `}`, `part 1`},
		{`{"normalizer":` + deep + `,` + ok + `}`, "nested"},
		{`{"normalizer":{"type":"Replace","pattern":{"Regex":"("},"content":""},` + ok + `}`, "regular expression"},
		{`{"normalizer":{"type":"Replace","pattern":{"String":""},"content":"x"},` + ok + `}`, "String is empty"},
		{`{"pre_tokenizer":{"type":"GuessPreTokenizer"},` + ok + `}`, `"GuessPreTokenizer"`},
		{`{"pre_tokenizer":{"type":"CharDelimiterSplit","delimiter":"ab"},` + ok + `}`, `"ab"`},
		{`{"pre_tokenizer":{"type":"FixedLength","length":0},` + ok + `}`, "length"},
		{`{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a)\\1"},"behavior":"Isolated"},` + ok + `}`, `\1 is not supported at byte 3`},
		{`{"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Sideways"},` + ok + `}`, `"Sideways"`},
		{`{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}]},` + ok + `}`, `"<s>"`},
		{`{"post_processor":{"type":"TemplateProcessing","single":[]},` + ok + `}`, "single"},
		{`{"decoder":{"type":"Wordpiece"},` + ok + `}`, `"Wordpiece"`},
		{`{"decoder":{"type":"Replace","pattern":{"String":"a"},"content":"` + strings.Repeat("a", 999) + `"},` + ok + `}`, "decoder"},
		{`{"added_tokens":[{"content":"` + strings.Repeat("x", maxAdded+1) + `"}],` + ok + `}`, "added_tokens"},
	} {
		_, err := Parse([]byte(c.json), nil)
		if err == nil || !strings.Contains(err.Error(), c.names) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.120s: error %v, which should name %s", c.json, err, c.names)
		}
	}
	if _, err := Parse([]byte(`{`+ok+`}`), []byte(`{"bos_token": 3}`)); err == nil || !strings.Contains(err.Error(), "bos_token") {
		t.Errorf("a number for bos_token: %v", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	tok := byteBPE(nil).parse(t)
	if _, err := tok.Encode("ab\xff", Options{}); err == nil || !strings.Contains(err.Error(), "byte 2") {
		t.Errorf("text that is not UTF-8: %v", err)
	}
	for _, literal := range [][]Span{{{0, 3}}, {{1, 2}, {0, 1}}, {{-1, 1}}, {{2, 1}}} {
		if _, err := tok.Encode("ab", Options{Literal: literal}); err == nil || !strings.Contains(err.Error(), "literal") {
			t.Errorf("ranges %v of a text of 2 bytes: %v", literal, err)
		}
	}
	bomb := tiny{
		Normalizer: obj{"type": "Replace", "pattern": obj{"String": "a"}, "content": strings.Repeat("a", 1<<16)},
		Model:      obj{"vocab": charVocab("a"), "merges": []string{}},
	}.parse(t)
	if _, err := bomb.Encode(strings.Repeat("a", 1<<16), Options{}); err == nil || !strings.Contains(err.Error(), "Replace") {
		t.Errorf("a text that would become 4 GiB: %v", err)
	}
	double := obj{"type": "Sequence", "pretokenizers": slices.Repeat([]any{byteLevelPart}, 64)}
	bomb = tiny{PreTokenizer: double, Model: obj{"vocab": charVocab("é"), "merges": []string{}}}.parse(t)
	if _, err := bomb.Encode("é", Options{}); err == nil || !strings.Contains(err.Error(), "pre_tokenizer") {
		t.Errorf("a text that doubles 64 times: %v", err)
	}
	lost := tiny{Model: obj{"vocab": charVocab("ab"), "merges": []string{}, "unk_token": "<unk>"}}.parse(t)
	if _, err := lost.Encode("ax", Options{}); err == nil || !strings.Contains(err.Error(), "<unk>") {
		t.Errorf("an unknown token outside the vocabulary: %v", err)
	}
}

// A file is refused in words, or makes a tokenizer that keeps to the laws.
func FuzzParse(f *testing.F) {
	for _, p := range []tiny{byteBPE(nil), byteBPE(obj{"type": "NFC"}), sentencePiece(true)} {
		f.Add(p.json(f), "hello <|a|> wörld")
	}
	f.Add([]byte(`{"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\w+|[^a[b]]"},"behavior":"Contiguous"}}`), "a b")
	for _, name := range []string{"unigram", "unigram-bytes", "wordpiece", "wordlevel", "endofword"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name, "tokenizer.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "The boat's <s> ½ e\u0301 [SEP] 船")
	}
	for _, part := range []string{
		`"normalizer":{"type":"Precompiled","precompiled_charsmap":"CAAAAAEBAAAAAAAAYQBiAA=="}`, `"pre_tokenizer":{"type":"UnicodeScripts"}`,
		`"pre_tokenizer":{"type":"FixedLength","length":2},"decoder":{"type":"CTC","pad_token":"","word_delimiter_token":"","cleanup":true}`,
	} {
		f.Add([]byte(`{"model":{"vocab":[["a",0],["b",-1]],"unk_id":0},`+part+`}`), "ab a")
	}
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		tok, err := Parse(raw, raw)
		if err != nil {
			return
		}
		enc, err := tok.Encode(text, Options{AddSpecial: true})
		if err != nil {
			return
		}
		for i, o := range enc.Offsets {
			if o.Start < 0 || o.Start > o.End || o.End > len(text) {
				t.Fatalf("token %d covers %v of %d bytes", i, o, len(text))
			}
		}
		tok.Decode(enc.IDs, true)
		data, err := tok.Encode(text, Options{Literal: []Span{{0, len(text)}}})
		if err != nil {
			return
		}
		unk, hasUnk := tok.model.id(tok.model.unknown())
		for i, id := range data.IDs {
			if tok.IsSpecial(id) && !(hasUnk && id == unk) && !isByte(tok, id) && data.Offsets[i].Start < data.Offsets[i].End {
				t.Fatalf("data becomes the special token %d", id)
			}
		}
	})
}

// isByte says whether a token stands for a byte of a byte-level or byte-fallback vocabulary.
func isByte(tok *Tokenizer, id int32) bool {
	m, ok := tok.model.(*bpe)
	if ok && (m.bytes != nil && slices.Contains(m.bytes[:], id) || slices.Contains(m.fallback[:], id)) {
		return true
	}
	u, ok := tok.model.(*unigram)
	return ok && slices.Contains(u.bytes[:], id)
}

// Byte-level encoding loses nothing; that of SentencePiece loses nothing but what it adds; no special token stands in data.
func FuzzEncode(f *testing.F) {
	p := byteBPE(nil)
	p.Added[1].LStrip = false
	exact, nfc, sp := p.parse(f), byteBPE(obj{"type": "NFC"}).parse(f), sentencePiece(false).parse(f)
	f.Add("hello <|ab|> wörld 🦙", 3, 9)
	f.Add("e\u0323\u0301 \u1112\u1161\u11ab <s>", 0, 4)
	f.Fuzz(func(t *testing.T, text string, lo, hi int) {
		if !utf8.ValidString(text) {
			if _, err := exact.Encode(text, Options{}); err == nil {
				t.Fatal("text that is not UTF-8 was encoded")
			}
			return
		}
		enc, err := exact.Encode(text, Options{})
		if err != nil || exact.Decode(enc.IDs, false) != text {
			t.Fatalf("%q becomes %q (%v)", text, exact.Decode(enc.IDs, false), err)
		}
		all := Options{Literal: []Span{{0, len(text)}}}
		if enc, err = sp.Encode(text, all); err != nil || sp.Decode(enc.IDs, false) != strings.ReplaceAll(text, "▁", " ") {
			t.Fatalf("%q becomes %q (%v)", text, sp.Decode(enc.IDs, false), err)
		}
		if lo < 0 || lo > hi || hi > len(text) {
			return
		}
		enc, err = nfc.Encode(text, Options{Literal: []Span{{lo, hi}}})
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range enc.Offsets {
			if o.Start > o.End || o.End > len(text) || nfc.IsSpecial(enc.IDs[i]) && o.Start < hi && lo < o.End {
				t.Fatalf("token %d covers %v of %d bytes, data is [%d,%d)", i, o, len(text), lo, hi)
			}
		}
	})
}
