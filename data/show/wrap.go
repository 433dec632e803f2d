package show

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// gutter is what stands before the text of a line: whose words it holds, what is done with it.
func (t *text) gutter(who string, s State) {
	pad := max(0, whoWidth-utf8.RuneCountInString(who))
	t.put(sgrDim, "  "+who+strings.Repeat(" ", pad)+" ")
	t.put(stateStyle(s), [...]string{" ", "+", "x"}[s])
	t.put(sgrDim, "│")
	t.left = 2 + uniseg.StringWidth(who) + pad + 3
	t.column = t.left
	t.again = func() { t.gutter(strings.Repeat(" ", uniseg.StringWidth(who)), s) }
}

// flow puts s in a style on the open line. Where a terminal ends it goes on in the next line, behind the same gutter; the
// terminal's own wrapping would have it begin below the names.
func (t *text) flow(style, s string) {
	if t.o.Width <= t.left+1 { // no terminal, or none with room for a character of two columns
		t.put(style, s)
		return
	}
	for start, at, state := 0, 0, -1; start < len(s); {
		full := false
		for at < len(s) && !full {
			cluster, _, width, next := uniseg.FirstGraphemeClusterInString(s[at:], state)
			if full = t.column+width > t.o.Width && t.column > t.left; !full {
				t.column, at, state = t.column+width, at+len(cluster), next
			}
		}
		if at > start {
			t.put(style, s[start:at])
		}
		if start = at; full {
			t.put("", "\n")
			t.again()
		}
	}
}
