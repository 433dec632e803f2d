package show

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"attune/data/chat"
)

// anyText is text that is out to harm: control characters, direction marks, markup, broken UTF-8.
func anyText() *rapid.Generator[string] {
	nasty := rapid.SampledFrom([]string{"\x00", "\x1b[31m", "\r", "\n", "\t", " ", "\u00a0", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\u009b", "\U000e0041", "\xf0\x9f", "<script>", "</style>", `"'&`, "🦩", "é", "e\u0301"})
	return rapid.Map(rapid.SliceOf(rapid.OneOf(nasty, rapid.String())), func(s []string) string { return strings.Join(s, "") })
}

// Every character is shown, in order, and nothing that is shown can do anything to whoever looks at it.
func TestVisible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyText().Draw(t, "s")
		var raw strings.Builder
		for _, g := range visible(s) {
			raw.WriteString(g.raw)
			if g.text == "" || g.raw == "" || !utf8.ValidString(g.text) {
				t.Fatalf("%q: an empty run, or one that is no text: %+v", s, g)
			}
			for _, r := range g.text {
				if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp) {
					t.Fatalf("%q: %q is shown as %q", s, g.raw, g.text)
				}
			}
			if g.kind == plain && g.text != g.raw {
				t.Fatalf("%q: plain %q is shown as %q", s, g.raw, g.text)
			}
		}
		if raw.String() != s {
			t.Fatalf("%q came back as %q", s, raw.String())
		}
	})
}

// Pieces are the text, whatever ranges tokens claim; every token is in one, in order, and none is cut within a character.
func TestPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ToValidUTF8(anyText().Draw(t, "text"), "?")
		n := rapid.IntRange(0, 12).Draw(t, "n")
		tokens := make([]Token, n)
		at := 0
		for i := range tokens {
			from := rapid.IntRange(max(0, at-3), len(text)).Draw(t, "from") // some begin where the one before has not ended
			to := rapid.IntRange(from, len(text)).Draw(t, "to")
			tokens[i].Span = chat.Span{Start: from, End: to}
			at = max(at, from)
		}
		var runs []chat.Span
		for end := 0; rapid.Bool().Draw(t, "run"); {
			from := boundary(text, rapid.IntRange(end, len(text)).Draw(t, "from"))
			end = boundary(text, rapid.IntRange(from, len(text)).Draw(t, "to"))
			if runs = append(runs, chat.Span{Start: from, End: end}); end == len(text) {
				break
			}
		}
		var b strings.Builder
		next := 0
		for _, p := range pieces(text, tokens, runs) {
			for _, r := range runs {
				if a, z := b.Len(), b.Len()+len(p.Text); r.Start < r.End && (a < r.Start && r.Start < z || a < r.End && r.End < z) {
					t.Fatalf("%q is in and out of the run %v of %q", p.Text, r, text)
				}
			}
			if b.WriteString(p.Text); !utf8.ValidString(p.Text) {
				t.Fatalf("%q is cut within a character: %q", text, p.Text)
			}
			if i := strings.IndexByte(p.Text, '\n'); i >= 0 && i+1 < len(p.Text) {
				t.Fatalf("%q goes on behind a line end", p.Text)
			}
			if p.From < p.To {
				if p.From != next && p.To != next { // a token that spans lines or runs is in a piece of each
					t.Fatalf("pieces %v of %v", pieces(text, tokens, runs), tokens)
				}
				next = p.To
			}
		}
		if b.String() != text || next != n {
			t.Fatalf("%q came back as %q, %d of %d tokens", text, b.String(), next, n)
		}
	})
}
