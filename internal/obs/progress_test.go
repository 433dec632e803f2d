package obs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"attune/internal/ptytest"
)

func TestPlainProgressLines(t *testing.T) {
	var w bytes.Buffer
	p := NewProgress(&w, "step", 0, 3)
	p.every = 0
	p.Step(1, "loss 2.5", "norm 1")
	p.Say("saved")
	p.Step(3, "loss 1.5")
	p.Done()
	lines := strings.Split(w.String(), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "step 1/3  loss 2.5, norm 1  left ") || lines[1] != "saved" || lines[2] != "step 3/3  loss 1.5" || lines[3] != "" {
		t.Errorf("%q", lines)
	}
}

// On a terminal no line is wider than it, whatever the numbers, and the notes that come first are shown, with the time left.
func TestProgressKeepsToTheTerminal(t *testing.T) {
	for _, columns := range []int{80, 120, 40, 8} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			tty, written := ptytest.Open(t, columns)
			p := NewProgress(tty, "step", 100_000, 200_000)
			p.every, p.start = 0, time.Now().Add(-2*time.Hour)
			notes := []string{"loss 10.1234", "rate 2.00e-04", "41000 tokens/s", "norm 123.456"}
			for _, done := range []int{110_000, 150_000, 199_999} {
				p.Step(done, notes...)
			}
			p.Done()
			for i, line := range written() {
				if n := utf8.RuneCountInString(line); n >= columns {
					t.Errorf("%d columns on a terminal of %d: %q", n, columns, line)
				}
				for _, want := range append(slices.Clone(notes[:3]), "step 1", "/200000", "left ") {
					if i > 0 && columns >= 80 && strings.TrimSpace(line) != "" && !strings.Contains(line, want) {
						t.Errorf("%q is not in %q", want, line)
					}
				}
				if columns == 120 && i > 0 && strings.TrimSpace(line) != "" && !strings.Contains(line, notes[3]) {
					t.Errorf("there was room for %q in %q", notes[3], line)
				}
			}
		})
	}
}

// The bar grows, is written over by the next, makes way for a line that stays, and is gone in the end.
func TestProgressOnATerminal(t *testing.T) {
	tty, written := ptytest.Open(t, 80)
	p := NewProgress(tty, "step", 0, 4)
	p.every = 0
	p.Step(1, "loss 2.5, and a note that is long")
	p.Step(2, "loss 2")
	p.Say("step 2  eval loss 1.75")
	p.Step(3, "loss 1.5")
	p.Done()
	if _, err := fmt.Fprintln(tty, "over"); err != nil {
		t.Fatal(err)
	}
	lines := written()
	screen, at := []string{}, -1
	for _, want := range []string{"step 0/4 [", "step 1/4 [#####-----", "step 2/4 [###########-----------]  loss 2  left 0s", "step 2  eval loss 1.75", "step 2/4 [", "step 3/4 [", "over"} {
		next := slices.IndexFunc(lines[at+1:], func(l string) bool { return strings.HasPrefix(l, want) })
		if next < 0 {
			t.Fatalf("%q does not come after %q in\n%q", want, screen, lines)
		}
		at += 1 + next
		screen = append(screen, want)
	}
	// a shorter line covers the whole of the one before
	for i, l := range lines[1:] {
		if before := strings.TrimRight(lines[i], " "); strings.HasPrefix(l, "step") && strings.HasPrefix(before, "step") && len(l) < len(before) {
			t.Errorf("%q leaves some of %q", l, before)
		}
	}
}

// Of an unknown number there is a count and no time left.
func TestProgressOfAnUnknownNumber(t *testing.T) {
	tty, written := ptytest.Open(t, 80)
	p := NewProgress(tty, "row", 0, 0)
	p.Step(512, "read")
	p.Done()
	if lines := written(); len(lines) < 1 || lines[0] != "row 512  read" || strings.TrimSpace(strings.Join(lines[1:], "")) != "" {
		t.Errorf("%q", lines)
	}
}
