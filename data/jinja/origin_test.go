package jinja

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// draw writes a rendering with the bytes of message n as [n:...].
func draw(r Result) string {
	var b strings.Builder
	at := 0
	for _, s := range r.Spans {
		fmt.Fprintf(&b, "%s[%d:%s]", r.Text[at:s.Start], s.Message, r.Text[s.Start:s.End])
		at = s.End
	}
	return b.String() + r.Text[at:]
}

// TestOrigins draws where the bytes of two strings end up.
func TestOrigins(t *testing.T) {
	vars := map[string]any{
		"a": NewStr("Hello, World", &Origin{0, "content"}), "b": NewStr("  zwei Wörter\n", &Origin{1, "content"}),
		"q": NewStr(`say "hi"`, &Origin{2, "content"}), "e": NewStr("", &Origin{3, "content"}),
	}
	calls, err := FromJSON([]byte(`{"city": "Oslo", "n": [1, "zwei"]}`), &Origin{4, "tool_calls"})
	if err != nil {
		t.Fatal(err)
	}
	vars["d"] = calls
	for _, c := range []struct{ template, want string }{
		{"<{{ a }}>", "<[0:Hello, World]>"},
		{"{{ '<' + a + '>' }}", "<[0:Hello, World]>"},
		{"{{ a ~ b|trim }}", "[0:Hello, World][1:zwei Wörter]"},
		{"{{ a + a }}", "[0:Hello, WorldHello, World]"},
		{"{{ a[7:] }}{{ a[0] }}{{ a[::-1] }}", "[0:WorldHdlroW ,olleH]"},
		{"{{ a|upper }}{{ b.upper() }}", "[0:HELLO, WORLD][1:  ZWEI WÖRTER\n]"},
		{"{{ b.strip() }}|{{ b.lstrip() }}", "[1:zwei Wörter]|[1:zwei Wörter\n]"},
		{"{{ a.split(', ')[1] }}-{{ a.split(', ')|join('+') }}", "[0:World]-[0:Hello]+[0:World]"},
		{"{{ a.replace('o', '0') }}", "[0:Hell]0[0:, W]0[0:rld]"},
		{"{{ 'x-x'.replace('x', a[:2]) }}", "[0:He]-[0:He]"},
		{"{{ '%s|%10s|%.2s' % (a, a[:2], a) }}", "[0:Hello, World]|        [0:He]|[0:He]"},
		{"{{ '{}/{x}'.format(a, x=b[2:6]) }}", "[0:Hello, World]/[1:zwei]"},
		{"{{ q|tojson }}", `"[2:say \"hi\"]"`},
		{"{{ d|tojson }}", `{"[4:city]": "[4:Oslo]", "[4:n]": [1, "[4:zwei]"]}`},
		{"{{ d }}", `{'[4:city]': '[4:Oslo]', '[4:n]': [1, '[4:zwei]']}`},
		{"{{ [a, b[2:6]]|join(q[:3]) }}", "[0:Hello, World][2:say][1:zwei]"},
		{"{{ a|replace('World', 'x') }}", "[0:Hello, ]x"},
		{"{{ e }}{{ e + a[:1] + e }}", "[0:H]"},
		{"{% set x %}<{{ a }}>{% endset %}{{ x }}{{ x|lower }}", "<[0:Hello, World]><[0:hello, world]>"},
		{"{% macro m(x) %}({{ x }}){% endmacro %}{{ m(a[:5]) }}", "([0:Hello])"},
		{"{% filter upper %}x{{ a[:2] }}{% endfilter %}", "X[0:HE]"},
		{"{% for c in a[:2] %}{{ c }}.{% endfor %}", "[0:H].[0:e]."},
		{"{{ a|length }}{{ a == 'x' }}{{ 'ell' in a }}", "12FalseTrue"},
		{"{{ a|truncate(6) }}|{{ a|truncate(7, true, '', 0) }}", "[0:Hel]...|[0:Hello, ]"},
		{"{{ b|indent(1) }}{{ 'x\ny'|indent(a[:1]) }}", "[1:  zwei Wörter\n]x\n[0:H]y"},
		{"{{ a.partition(', ')|join('|') }}", "[0:Hello]|[0:, ]|[0:World]"},
		{"{{ a[:1].center(5, '*') }}{{ a[:2].zfill(4) }}", "**[0:H]**00[0:He]"},
		{"{{ {'k': a}.k }}{{ [a][0] }}{{ a if a else b }}", "[0:Hello, WorldHello, WorldHello, World]"},
		{"{{ a|e }}{{ '<'|e }}{{ q|e }}", "[0:Hello, World]&lt;[2:say &#34;hi&#34;]"},
		{"{{ a|list|first }}{{ a|reverse }}{{ [b, a]|sort|last|trim }}", "[0:HdlroW ,olleHHello, World]"},
		{"{{ a.title() }}{{ b|title|trim }}{{ a|capitalize }}", "[0:Hello, World][1:Zwei Wörter][0:Hello, world]"},
		{"{{ a|wordwrap(6) }}", "[0:Hello,]\n[0:World]"},
		{"{{ a.removeprefix('Hell') }}{{ (a * 2)[10:14] }}", "[0:o, WorldldHe]"},
	} {
		r, err := renderString(c.template, vars)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		if got := draw(r); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.template, got, c.want)
		}
	}
}

// TestOriginsOfPublished checks, over all published templates, that marked bytes stand in the field they are said to
// come from, and that no message's text is written without its mark.
func TestOriginsOfPublished(t *testing.T) {
	found := 0
	for _, c := range readCases(t) {
		if c.Expected == nil {
			continue
		}
		vars, o := c.vars(t)
		r, err := compileFile(t, c.Template).Render(vars, o)
		if err != nil {
			t.Fatal(err)
		}
		messages := vars["messages"].(*List)
		end := 0
		for _, s := range r.Spans {
			if s.Start < end || s.End <= s.Start || s.End > len(r.Text) {
				t.Fatalf("%s/%s: span %+v behind %d", c.Template, c.Case, s, end)
			}
			end = s.End
			if s.Message < 0 || s.Field != "content" {
				continue
			}
			v, _ := messages.items[s.Message].(*Dict).get(plain("content"))
			if content, ok := v.(*Str); ok && !strings.Contains(content.s, r.Text[s.Start:s.End]) && !strings.Contains(repeatQuoted(content), r.Text[s.Start:s.End]) {
				t.Errorf("%s/%s: %q is not from message %d, %q", c.Template, c.Case, r.Text[s.Start:s.End], s.Message, content.s)
			}
		}
		for _, text := range []string{"What is the capital of France?", "And of Norway?", "The capital of France is Paris.", "You are a terse assistant."} {
			for at := 0; ; {
				k := strings.Index(r.Text[at:], text)
				if k < 0 {
					break
				}
				at += k
				covered := 0
				for _, s := range r.Spans {
					covered += max(0, min(s.End, at+len(text))-max(s.Start, at))
				}
				if covered != len(text) {
					t.Errorf("%s/%s: %d of %d bytes of %q are marked", c.Template, c.Case, covered, len(text), text)
				}
				at += len(text)
				found++
			}
		}
	}
	if found < 500 {
		t.Fatalf("only %d texts were looked at", found)
	}
}

// repeatQuoted is a text as tojson writes it.
func repeatQuoted(s *Str) string {
	r, err := renderString("{{ x|tojson }}", map[string]any{"x": s})
	if err != nil {
		return ""
	}
	return r.Text
}

// TestMarksChangeNothing: whatever a string has been through, its text is the same with marks as without, and the marks
// stay sorted, disjoint and at character boundaries.
func TestMarksChangeNothing(t *testing.T) {
	steps := []string{"|upper", "|trim", "[1:]", "[::-1]", "|replace('a', 'bc')", "|title", ".split('b')|join('--')", "|tojson", " ~ y", "|center(20)", "|e",
		"|lower", "|truncate(9)", "|indent(2, true)", " * 2", "|capitalize", ".strip('ab')", "|wordwrap(5)", "|list|join", "|reverse", ".swapcase()", "|string", "[2:9:2]", ".partition('b')|join('/')"}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.StringOfN(rapid.SampledFrom([]rune("ab \n\"é日<ß")), 0, 20, -1).Draw(t, "x")
		y := rapid.StringOfN(rapid.SampledFrom([]rune("ab\tö")), 0, 6, -1).Draw(t, "y")
		e := "x"
		for _, s := range rapid.SliceOfN(rapid.SampledFrom(steps), 1, 6).Draw(t, "steps") {
			e = "(" + e + s + ")"
		}
		src := "{{ " + e + " }}"
		want, err1 := renderString(src, map[string]any{"x": x, "y": y})
		got, err2 := renderString(src, map[string]any{"x": NewStr(x, &Origin{0, "x"}), "y": NewStr(y, &Origin{1, "y"})})
		if (err1 == nil) != (err2 == nil) || got.Text != want.Text {
			t.Fatalf("%s: %q %v, without marks %q %v", src, got.Text, err2, want.Text, err1)
		}
		end := 0
		for _, s := range got.Spans {
			if s.Start < end || s.End <= s.Start || s.End > len(got.Text) || !utf8.ValidString(got.Text[s.Start:s.End]) {
				t.Fatalf("%s: spans %v of %q", src, got.Spans, got.Text)
			}
			end = s.End
		}
	})
}
