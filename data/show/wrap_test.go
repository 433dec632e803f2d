package show

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

// taken takes printed lines of text apart: the names in their gutters, the marks, and the text of all.
func taken(t *rapid.T, out string, width int) (names []string, marks, said string) {
	t.Helper()
	for line := range strings.Lines(out) {
		gutter, content, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "│")
		if !ok || !strings.HasPrefix(line, "  ") {
			continue
		}
		if n := uniseg.StringWidth(gutter) + 1 + uniseg.StringWidth(content); n > width && uniseg.GraphemeClusterCount(content) > 1 {
			t.Fatalf("%d columns on a terminal of %d: %q", n, width, line)
		}
		if utf8.RuneCountInString(gutter) != 16 {
			t.Fatalf("the gutter of %q has not its width", line)
		}
		if name := strings.TrimSpace(gutter[:len(gutter)-1]); name != "" {
			names = append(names, name)
		}
		marks += strings.Repeat(gutter[len(gutter)-1:], uniseg.GraphemeClusterCount(content))
		said += content
	}
	return names, marks, said
}

// On a narrow terminal every line has the gutter and ends where the terminal does; taken together they say the same.
func TestWrapping(t *testing.T) {
	o := options(t, "chatml")
	rapid.Check(t, func(rt *rapid.T) {
		words := rapid.OneOf(anyText(), rapid.StringMatching("[a-z ]{30,90}"), rapid.StringMatching("[火鳥e\u0301]{20,40}"))
		clean := func(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "│", "|") }
		user, answer := clean(words.Draw(rt, "user")), clean(words.Draw(rt, "answer"))
		row, err := json.Marshal(map[string]any{"messages": []any{map[string]any{"role": "user", "content": "x" + user}, map[string]any{"role": "assistant", "content": answer + "y"}}})
		if err != nil {
			rt.Fatal(err)
		}
		f, width := file(t, string(row)), rapid.IntRange(19, 60).Draw(rt, "width")
		var wide, narrow, colored bytes.Buffer
		printed(t, NewText(&wide, About{}, TextOptions{}), f, o, First(1))
		printed(t, NewText(&narrow, About{}, TextOptions{Width: width}), f, o, First(1))
		printed(t, NewText(&colored, About{}, TextOptions{Width: width, Color: true}), f, o, First(1))
		names, marks, said := taken(rt, narrow.String(), width)
		allNames, allMarks, all := taken(rt, wide.String(), 1<<30)
		if said != all || !slices.Equal(names, allNames) || strings.Count(marks, "+") < strings.Count(allMarks, "+") {
			rt.Fatalf("%d columns:\n%s\nwithout an end:\n%s", width, narrow.String(), wide.String())
		}
		taken(rt, sgr.ReplaceAllString(colored.String(), ""), width)
	})
}
