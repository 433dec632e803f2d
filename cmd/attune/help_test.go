package main

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"attune/internal/ptytest"

	"github.com/spf13/cobra"
)

var flagName = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([\w-]+)`)

// Every command and every flag of it says what it is for.
func TestEverythingHasHelp(t *testing.T) {
	flags := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" && cmd.HasParent() {
			t.Errorf("%s says nothing", cmd.CommandPath())
		}
		for _, m := range flagName.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages(), -1) {
			flags++
			if u := strings.TrimSpace(cmd.Flags().Lookup(m[1]).Usage); u == "" || strings.HasPrefix(u, "(") {
				t.Errorf("%s --%s: %q", cmd.CommandPath(), m[1], u)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard}))
	if flags < 50 {
		t.Errorf("only %d flags were found", flags)
	}
}

// A run on a terminal of 80 columns shows loss, rate, tokens a second and the time left in a line that does not wrap.
func TestTrainOnATerminal(t *testing.T) {
	tty, written := ptytest.Open(t, 80)
	l := smallLesson(t, lesson{"train.steps": 60})
	cmd := program(t.Context(), l.args("train")...)
	cmd.Stderr = tty
	if out, err := cmd.Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	whole := 0
	for _, line := range written() {
		if !strings.HasPrefix(line, "step ") || !strings.Contains(line, "/60") {
			continue
		}
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
		if strings.Contains(line, "loss ") && strings.Contains(line, "rate ") && strings.Contains(line, " tokens/s") && strings.Contains(line, "left ") {
			whole++
		}
	}
	if whole == 0 {
		t.Errorf("no line shows all of a step: %q", written())
	}
}
