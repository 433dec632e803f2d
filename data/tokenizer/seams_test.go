package tokenizer

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Cutting long words before ▁ changes no token, merges across that place or not.
func TestSeams(t *testing.T) {
	for name, merges := range map[string][]string{
		"none across":        {"▁ a", "▁ ▁", "▁▁ a", "a b", "▁a b", "> >"},
		"across a character": {"▁ a", "▁ ▁", "> ▁a", "a b", "▁a b", "> >", ">▁a ▁a"},
		"across longer ones": {"a >", "▁ b", "a> ▁b", "b ▁", "b▁ ▁", "▁ ▁"},
		"across bytes":       {"<0xC3> <0xA9>", "<0xC3><0xA9> ▁", "▁ a", "<0xC3><0xA9>▁ a"},
	} {
		tokens := []string{"▁", "a", "b", ">", "<0xC3>", "<0xA9>"}
		for _, m := range merges {
			for i := range m {
				if m[i] == ' ' {
					tokens = append(tokens, m[:i]+m[i+1:])
				}
			}
		}
		slices.Sort(tokens)
		tok := tiny{Model: obj{"vocab": vocab(slices.Compact(tokens)...), "merges": merges, "byte_fallback": true}}.parse(t)
		m := tok.model.(*bpe)
		whole := *m
		whole.seams, whole.cache = false, nil
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.StringOfN(rapid.SampledFrom([]rune("▁▁▁aab>é")), 1, 40, -1).Draw(t, "text")
			var got, want Encoding
			for i, one := range []struct {
				m   *bpe
				enc *Encoding
			}{{m, &got}, {&whole, &want}} {
				if err := one.m.encode(&scratch{}, one.enc, &aligned{s: text}, 0, len(text)); err != nil {
					t.Fatal(i, err)
				}
			}
			if !slices.Equal(got.IDs, want.IDs) || !slices.Equal(got.Offsets, want.Offsets) {
				t.Fatalf("%s: %q becomes %v at %v, uncut %v at %v", name, text, got.IDs, got.Offsets, want.IDs, want.Offsets)
			}
		})
		if m.seams != (name != "across bytes") {
			t.Errorf("%s: seams %v", name, m.seams)
		}
	}
}
