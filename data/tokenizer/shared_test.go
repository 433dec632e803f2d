package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"attune/internal/reftest"
)

type vector struct {
	Text               string  `json:"text"`
	Special            bool    `json:"special"`
	IDs                []int32 `json:"ids"`
	Decoded            string  `json:"decoded"`
	DecodedSkipSpecial *string `json:"decoded_skip_special"`
}

// TestVectors holds ids and decoded text to Hugging Face tokenizers 0.23.
func TestVectors(t *testing.T) {
	for _, name := range []string{"gpt2", "smollm2", "qwen3", "stories260K", "mistral-v0.1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := reftest.Path(t, "tokenizers", name)
			tok, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			checkVectors(t, tok, dir, 400)
		})
	}
}

// checkVectors holds a tokenizer to the vectors.jsonl, of at least that many, and decode.jsonl of a folder.
func checkVectors(t *testing.T, tok *Tokenizer, dir string, atLeast int) {
	t.Helper()
	vectors := reftest.Lines[vector](t, filepath.Join(dir, "vectors.jsonl"))
	if len(vectors) < atLeast {
		t.Fatalf("%d vectors, not %d", len(vectors), atLeast)
	}
	for _, v := range vectors {
		enc, err := tok.Encode(v.Text, Options{AddSpecial: v.Special})
		if err != nil {
			t.Fatalf("encode %q: %v", v.Text, err)
		}
		if !slices.Equal(enc.IDs, v.IDs) {
			t.Errorf("encode %.300q, special %v:\n got %v\nwant %v", v.Text, v.Special, head(enc.IDs), head(v.IDs))
		}
		checkOffsets(t, v.Text, enc)
		checkDecode(t, tok, v)
	}
	for _, v := range reftest.Lines[vector](t, filepath.Join(dir, "decode.jsonl")) {
		checkDecode(t, tok, v)
	}
}

func head(ids []int32) []int32 { return ids[:min(len(ids), 60)] }

func checkDecode(t *testing.T, tok *Tokenizer, v vector) {
	t.Helper()
	if got := tok.Decode(v.IDs, false); got != v.Decoded {
		t.Errorf("decode %v:\n got %q\nwant %q", head(v.IDs), got, v.Decoded)
	}
	want := v.Decoded
	if v.DecodedSkipSpecial != nil {
		want = *v.DecodedSkipSpecial
	}
	if got := tok.Decode(v.IDs, true); got != want {
		t.Errorf("decode %v without special tokens:\n got %q\nwant %q", head(v.IDs), got, want)
	}
}

// checkOffsets asserts what holds for every encoding: ranges lie in the text and do not run backwards.
func checkOffsets(t *testing.T, text string, enc Encoding) {
	t.Helper()
	if len(enc.IDs) != len(enc.Offsets) {
		t.Fatalf("%d ids, %d offsets", len(enc.IDs), len(enc.Offsets))
	}
	last := Span{}
	for i, o := range enc.Offsets {
		if o.Start < 0 || o.End < o.Start || o.End > len(text) || o.Start < last.Start || o.End < last.End {
			t.Fatalf("%q: token %d covers %v after %v, of %d bytes", text, i, o, last, len(text))
		}
		last = o
	}
}

// TestGoldens holds the tokenizers of the reference cases, written by transformers 5, to the ids trained on.
func TestGoldens(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(reftest.Path(t, "goldens"), "*", "expected.json"))
	if err != nil || len(cases) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, path := range cases {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var expected struct{ Examples []vector }
		if err := json.Unmarshal(raw, &expected); err != nil {
			t.Fatal(err)
		}
		maxLength := recipeLength(t, filepath.Dir(path))
		tok, err := Load(filepath.Join(filepath.Dir(path), "model"))
		if err != nil {
			t.Fatal(err)
		}
		if len(expected.Examples) == 0 {
			t.Errorf("%s has no examples", path)
		}
		for _, v := range expected.Examples {
			enc, err := tok.Encode(v.Text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(v.IDs) == maxLength { // cut there
				enc.IDs = enc.IDs[:min(len(enc.IDs), maxLength)]
			}
			if !slices.Equal(enc.IDs, v.IDs) {
				t.Errorf("%s: encode %q:\n got %v\nwant %v", path, v.Text, enc.IDs, v.IDs)
			}
			// Without a normalizer the tokens cover the text without gaps.
			at := 0
			for _, o := range enc.Offsets {
				if o.Start != at {
					t.Fatalf("%q: a token begins at %d, the one before ends at %d", v.Text, o.Start, at)
				}
				at = o.End
			}
			if at != len(v.Text) {
				t.Fatalf("%q: tokens end at %d of %d", v.Text, at, len(v.Text))
			}
		}
	}
}

// recipeLength is the number of ids that the examples of a reference case are cut to.
func recipeLength(t *testing.T, dir string) int {
	raw, err := os.ReadFile(filepath.Join(dir, "recipe.json"))
	if err != nil {
		t.Fatal(err)
	}
	var recipe struct {
		MaxLength int `json:"max_length"`
	}
	if err := json.Unmarshal(raw, &recipe); err != nil || recipe.MaxLength == 0 {
		t.Fatal("recipe.json has no max_length", err)
	}
	return recipe.MaxLength
}

// alpaca is English text to measure with.
func alpaca(t testing.TB) string {
	raw, err := os.ReadFile(reftest.Path(t, "data", "alpaca.json"))
	if err != nil {
		t.Skip("needs data/alpaca.json in ../shared")
	}
	var rows []struct{ Instruction, Input, Output string }
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, r := range rows {
		b.WriteString(r.Instruction + "\n" + r.Input + "\n" + r.Output + "\n")
	}
	return b.String()
}

func BenchmarkEncode(b *testing.B) {
	text := alpaca(b)
	// Rows of some 2 kB, as training data has them.
	var rows []string
	for len(text) > 2048 {
		n := bytes.LastIndexByte([]byte(text[:2048]), '\n') + 1
		if n == 0 {
			n = 2048
		}
		rows = append(rows, text[:n])
		text = text[n:]
	}
	total := 0
	for _, r := range rows {
		total += len(r)
	}
	for _, name := range []string{"gpt2", "smollm2", "qwen3", "mistral-v0.1"} {
		b.Run(name, func(b *testing.B) {
			tok, err := Load(reftest.Path(b, "tokenizers", name))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(total))
			b.ReportAllocs()
			for b.Loop() {
				for _, r := range rows {
					if _, err := tok.Encode(r, Options{}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	dir := reftest.Path(b, "tokenizers", "qwen3")
	for b.Loop() {
		if _, err := Load(dir); err != nil {
			b.Fatal(err)
		}
	}
}
