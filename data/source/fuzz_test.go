package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// FuzzRows reads arbitrary bytes: rows are well formed, complaints lie on lines that are there, reading ends.
func FuzzRows(f *testing.F) {
	drawings, err := filepath.Glob("testdata/rows/*")
	if err != nil || len(drawings) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range drawings {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range bytes.Split(text, []byte("\nread")) {
			_, part, _ = bytes.Cut(part, []byte("\n"))
			part, _, _ = bytes.Cut(part, []byte("\n----"))
			f.Add(part)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		lines := bytes.Count(file, []byte("\n")) + 1
		place := func(line int) {
			if line < 0 || line > lines {
				t.Fatalf("line %d of %d", line, lines)
			}
		}
		r, err := NewReader("rows", bytes.NewReader(file), Options{})
		for n := 0; err == nil; n++ {
			if n > 2*len(file)+2 { // an element of an array can be no row and have no comma before it
				t.Fatal("more rows and complaints than bytes give")
			}
			c, err := r.Next()
			var bad *RowError
			switch {
			case err == io.EOF:
				return
			case errors.As(err, &bad):
				if place(bad.Line); bad.What == "" || bad.Do == "" {
					t.Fatalf("incomplete complaint: %v", bad)
				}
				continue
			case err != nil:
				t.Fatal(err)
			}
			place(c.Line)
			if (c.Messages == nil) == (c.Text == "") {
				t.Fatalf("neither turns nor text, or both: %+v", c)
			}
			if c.Tools != nil && !json.Valid(c.Tools) || !utf8.ValidString(c.Text) {
				t.Fatalf("malformed row: %+v", c)
			}
			for i, m := range c.Messages {
				if !utf8.ValidString(m.Content) || m.ToolCalls != nil && !json.Valid(m.ToolCalls) || m.Role == "" {
					t.Fatalf("malformed turn %d: %+v", i, m)
				}
			}
			if n := len(c.Messages); n > 0 && c.Messages[n-1].Role != "assistant" {
				t.Fatalf("the last turn teaches nothing: %+v", c)
			}
		}
		var bad *RowError
		if !errors.As(err, &bad) {
			t.Fatal(err)
		}
		place(bad.Line)
	})
}
