package obs

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Progress shows work that takes more than two seconds: a line with a bar that is written over on a terminal, plain lines
// elsewhere.
type Progress struct {
	w        io.Writer
	terminal *os.File // w, where it is a terminal
	label    string
	total    int
	start    time.Time
	first    int       // what was already done at the start
	last     time.Time // of the last line
	every    time.Duration
	shown    string // on the terminal now
}

// barWidth is the most columns that the bar takes of a line.
const barWidth = 24

// NewProgress shows on w the way from done to total of what label names ("step", "row"); total 0 = unknown.
func NewProgress(w io.Writer, label string, done, total int) *Progress {
	p := &Progress{w: w, label: label, total: total, first: done, start: time.Now(), last: time.Now(), every: 2 * time.Second}
	if f, ok := w.(*os.File); ok && Columns(f) > 0 {
		p.terminal, p.every, p.last = f, 100*time.Millisecond, time.Time{}
		if total > done {
			p.Step(done) // the first step may take long
		}
	}
	return p
}

// Columns is how wide the terminal w is, 0 where it is none.
func Columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 {
		return 80 // a terminal that does not know
	}
	return int(size.Col)
}

// Step says that done of total are done; notes ("loss 1.234", "410 tokens/s") stand beside the count, on a narrow terminal
// the first of them.
func (p *Progress) Step(done int, notes ...string) {
	if time.Since(p.last) < p.every && done != p.total {
		return
	}
	p.last = time.Now()
	if p.terminal == nil {
		fmt.Fprintln(p.w, p.line(done, notes, "", 1<<30))
		return
	}
	width := Columns(p.terminal) - 1 // in the last column some terminals go on to the next line
	line := p.line(done, notes, "", width)
	if room := width - utf8.RuneCountInString(line) - 1; p.total > 0 && room >= 10 {
		line = p.line(done, notes, p.bar(done, min(room, barWidth)), width)
	}
	p.draw(line, width)
}

// line is count, bar, notes and the time left, in at most width columns: notes that do not fit are left out from the last.
func (p *Progress) line(done int, notes []string, bar string, width int) string {
	count, left := fmt.Sprintf("%s %d", p.label, done), ""
	if p.total > 0 {
		count += fmt.Sprintf("/%d", p.total)
		if n := done - p.first; n > 0 && done < p.total {
			seconds := time.Since(p.start).Seconds() / float64(n) * float64(p.total-done)
			left = "  left " + (time.Duration(min(seconds, 1e9)+0.5) * time.Second).String()
		}
	}
	if bar != "" {
		count += " " + bar
	}
	for n := len(notes); ; n-- {
		line := count
		if n > 0 {
			line += "  " + strings.Join(notes[:n], ", ")
		}
		line += left
		if utf8.RuneCountInString(line) <= width {
			return line
		}
		if n == 0 {
			return string([]rune(line)[:max(0, width)])
		}
	}
}

// bar draws how far the work is in so many columns.
func (p *Progress) bar(done, width int) string {
	inner := width - 2
	full := min(inner, inner*done/p.total)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", inner-full) + "]"
}

// draw writes a line over the one shown. What cannot be drawn must not stop the work.
func (p *Progress) draw(line string, width int) {
	blank := min(width, utf8.RuneCountInString(p.shown)) - utf8.RuneCountInString(line)
	fmt.Fprint(p.w, "\r", line, strings.Repeat(" ", max(0, blank)))
	p.shown = line
}

// Say writes a line that stays, above the bar where there is one.
func (p *Progress) Say(line string) {
	shown := p.shown
	p.Done()
	fmt.Fprintln(p.w, line)
	if shown != "" {
		p.draw(shown, Columns(p.terminal)-1)
	}
}

// Done takes the bar away.
func (p *Progress) Done() {
	if p.shown != "" {
		p.draw("", Columns(p.terminal)-1)
		fmt.Fprint(p.w, "\r")
		p.shown = ""
	}
}
