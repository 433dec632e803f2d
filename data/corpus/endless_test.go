package corpus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/data/chat"
)

// A template that does not end is tried on one row, not on each of them.
func TestEndlessTemplate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "endless.jinja")
	endless := "{% for a in range(100000) %}{% for b in range(100000) %}{% set c = b %}{% endfor %}{% endfor %}{{ messages[0].content }}"
	if err := os.WriteFile(path, []byte(endless), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t)
	var err error
	if o.Template, err = chat.FromFile(path); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i := range 5000 { // for each of which the template is stopped after some tenths of a second
		lines = append(lines, pair(fmt.Sprint("a", i), "b"))
	}
	_, _, err = ReadAll(t.Context(), []File{rows(t, lines...)}, o)
	var bad *Error
	if !errors.As(err, &bad) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "rows.jsonl:1: render the conversation: chat template, line 1, column") ||
		!strings.Contains(err.Error(), "the rows behind it were not tried") {
		t.Errorf("%v", err)
	}
}
