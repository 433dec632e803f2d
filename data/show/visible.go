package show

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is how a run of characters is shown.
type kind int

const (
	plain   kind = iota
	blank        // spaces, each as ·
	tab          // as →
	newline      // as ↵
	escape       // what cannot be seen or would do something to whoever looks at it, as its number
)

// glyphs are characters of one kind.
type glyphs struct {
	kind kind
	text string // what is shown
	raw  string // what stands there
}

// visible takes a text apart into what can be seen and what has to be made visible. Nothing of what comes back, but raw,
// has control characters, direction marks or characters without a width.
func visible(s string) []glyphs {
	var out []glyphs
	var shown strings.Builder
	for at := 0; at < len(s); {
		start := at
		k, _, _ := glyph(s[at:])
		shown.Reset()
		for at < len(s) {
			next, t, m := glyph(s[at:])
			if next != k || k == newline && at > start {
				break
			}
			if k != plain {
				shown.WriteString(t)
			}
			at += m
		}
		g := glyphs{kind: k, text: shown.String(), raw: s[start:at]}
		if k == plain {
			g.text = g.raw
		}
		out = append(out, g)
	}
	return out
}

// glyph is the first character of s: its kind, how it is shown and its bytes.
func glyph(s string) (kind, string, int) {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == ' ':
		return blank, "·", n
	case r == '\t':
		return tab, "→", n
	case r == '\n':
		return newline, "↵", n
	case r == utf8.RuneError && n == 1:
		return escape, fmt.Sprintf(`\x%02X`, s[0]), n
	case r == '\r':
		return escape, `\r`, n
	case r < ' ' || r == 0x7f:
		return escape, fmt.Sprintf(`\x%02X`, r), n
	case hidden(r):
		return escape, fmt.Sprintf(`\u{%X}`, r), n
	}
	return plain, s[:n], n
}

// hidden: a character that is not seen, or turns the direction of others. U+2028 and U+2029 end lines in browsers; U+3164
// and its kin are letters without ink.
func hidden(r rune) bool {
	return r == 0x115F || r == 0x1160 || r == 0x3164 || r == 0xFFA0 || r == 0x034F || r == 0x2800 ||
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Zs) || r >= 0xE0000 && r <= 0xE0FFF
}

// oneLine is a text to be shown within a line.
func oneLine(s string) string {
	var b strings.Builder
	for _, g := range visible(s) {
		if g.kind == blank {
			b.WriteString(g.raw)
		} else {
			b.WriteString(g.text)
		}
	}
	return b.String()
}
