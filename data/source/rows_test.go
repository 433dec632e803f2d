package source

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"attune/data"
	"github.com/cockroachdb/datadriven"
)

// TestRows reads the files drawn in testdata: "read" has the text of a file as input (with \r, \0, \xff and \ufeff for
// what cannot be typed) and rows, warnings and complaints as output.
func TestRows(t *testing.T) {
	datadriven.Walk(t, "testdata/rows", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "read" {
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			format := Auto
			d.MaybeScanArgs(t, "format", &format)
			text := strings.NewReplacer(`\0`, "\x00", `\xff`, "\xff", `\ufeff`, "\ufeff", `\r`, "\r").Replace(d.Input)
			return draw(strings.NewReader(text), Options{Format: format})
		})
	})
}

func draw(in io.Reader, o Options) string {
	var b strings.Builder
	var warnings []Warning
	o.Warn = func(w Warning) { warnings = append(warnings, w) }
	r, err := NewReader("rows", in, o)
	if err != nil {
		return "refused: " + err.Error()
	}
	for {
		warnings = nil
		c, err := r.Next()
		if err == io.EOF {
			return b.String()
		}
		var bad *RowError
		if errors.As(err, &bad) {
			fmt.Fprintln(&b, bad)
			continue
		}
		if err != nil {
			return b.String() + "stopped: " + err.Error()
		}
		drawRow(&b, c)
		for _, w := range warnings {
			fmt.Fprintf(&b, "  warning %s: %s\n", w.Kind, w.What)
		}
	}
}

func drawRow(b *strings.Builder, c data.Conversation) {
	fmt.Fprintf(b, "row %d\n", c.Line)
	if c.Messages == nil {
		fmt.Fprintf(b, "  text: %q\n", c.Text)
	}
	if c.Tools != nil {
		fmt.Fprintf(b, "  tools: %s\n", c.Tools)
	}
	for _, m := range c.Messages {
		fmt.Fprintf(b, "  %s: %q", m.Role, m.Content)
		if m.ReasoningContent != "" {
			fmt.Fprintf(b, " reasoning %q", m.ReasoningContent)
		}
		if m.Name != "" {
			fmt.Fprintf(b, " name %s", m.Name)
		}
		if m.ToolCallID != "" {
			fmt.Fprintf(b, " answers %s", m.ToolCallID)
		}
		if m.ToolCalls != nil {
			fmt.Fprintf(b, " calls %s", m.ToolCalls)
		}
		if m.Train != nil {
			fmt.Fprintf(b, " train %v", *m.Train)
		}
		if m.Weight != nil {
			fmt.Fprintf(b, " weight %v", *m.Weight)
		}
		b.WriteByte('\n')
	}
}
