package show

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

var (
	mark = regexp.MustCompile(`<u>[^<]*</u>`) // cannot be selected
	tag  = regexp.MustCompile(`<[^>]*>`)
	line = regexp.MustCompile(`(?s)<span class="m">[^<]*</span><span class="t">(.*?)</span></div>`)
	fact = regexp.MustCompile(`data-i="([^"]*)"`)
)

func htmlOf(t *testing.T, rows string, template string) string {
	t.Helper()
	var out bytes.Buffer
	p, err := NewHTML(&out, About{Model: "m", Template: `a "b" <c>`, TemplateSHA256: "0123", TokenizerSHA256: "4567"})
	if err != nil {
		t.Fatal(err)
	}
	printed(t, p, file(t, rows), options(t, template), First(9))
	return out.String()
}

// Whatever a row says, the page has one script and one style, its own; asks nobody for anything; has nothing in it that
// cannot be seen; and what is copied from a text without escapes is the text.
func TestHostileRowsInThePage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		said := strings.ToValidUTF8(anyText().Draw(rt, "said"), "?")
		row, err := json.Marshal(map[string]any{"messages": []any{map[string]any{"role": "user", "content": "x" + said}, map[string]any{"role": "assistant", "content": said + "y"}}})
		if err != nil {
			rt.Fatal(err)
		}
		page := htmlOf(t, string(row), "chatml")
		if strings.Count(page, "<script") != 1 || strings.Count(page, "<style") != 1 || strings.Count(page, "</script>") != 1 || strings.Count(page, "<body") != 1 {
			rt.Fatalf("markup of the row is the page's")
		}
		for _, r := range page {
			if r != '\n' && r != '\t' && r != ' ' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
				rt.Fatalf("%U is in the page", r)
			}
		}
		if strings.Contains(page, "<em>") {
			return
		}
		var copied strings.Builder
		for _, l := range line.FindAllStringSubmatch(page, -1) {
			if strings.Contains(l[1], "<u>↵</u>") {
				l[1] += "\n"
			}
			copied.WriteString(html.UnescapeString(tag.ReplaceAllString(mark.ReplaceAllString(l[1], ""), "")))
		}
		if want := "<|im_start|>user\nx" + said + "<|im_end|>\n"; !strings.HasPrefix(copied.String(), want) {
			rt.Fatalf("copied %q, want %q", copied.String(), want)
		}
	})
}

// The page says where everything came from, and may run nothing but its own script.
func TestPage(t *testing.T) {
	page := htmlOf(t, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0.5}]}`+"\n"+`{"messages":[{"role":"user","content":"<img src=x onerror=y>"}]}`, "chatml")
	for _, want := range []string{"prefers-color-scheme: dark", "default-src &#39;none&#39;", "script-src &#39;sha256-", "0123", "4567", "a &#34;b&#34; &lt;c&gt;", "rows.jsonl:2", "there is no assistant turn", "2 rows, 1 example", "1 bad"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	for _, refused := range []string{"http:", "https:", "src=", "url(", "<link", "<img", "@import"} {
		if strings.Contains(page, refused) {
			t.Errorf("%q is in the page", refused)
		}
	}
	var facts []string
	for _, m := range fact.FindAllStringSubmatch(page, -1) {
		facts = append(facts, html.UnescapeString(m[1]))
	}
	all := strings.Join(facts, "\n")
	for _, want := range []string{"<|im_start|>  read, not trained  special  from template", "b  trained, weight 0.5  from messages[1].content", "<|im_end|>  trained, weight 0.5  special  from template"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is said of no token:\n%s", want, all)
		}
	}
}

// A row that no browser could show is shown as far as one can.
func TestPageOfALongRow(t *testing.T) {
	words := strings.Repeat("word ", pageTokens/5)
	page := htmlOf(t, `{"messages":[{"role":"user","content":"`+words+`"},{"role":"assistant","content":"b"}]}`, "chatml")
	if n := len(fact.FindAllString(page, -1)); n != pageTokens || !strings.Contains(page, "tokens more") || !strings.HasSuffix(page, "</html>\n") {
		t.Errorf("%d tokens are in the page, %d bytes", n, len(page))
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// A disk that is full is said, in every form.
func TestWritingFails(t *testing.T) {
	o := options(t, "chatml")
	f := file(t, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`)
	page, err := NewHTML(full{}, About{})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]Printer{"html": page, "text": NewText(full{}, About{}, TextOptions{}), "jsonl": NewJSONL(full{})} {
		_, err := Each(t.Context(), f, o, First(1), p.Row)
		if err == nil {
			err = p.End(Summary{})
		}
		if err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
