package obs

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// Progress shows work that takes more than two seconds: a bar with an estimate on a terminal, plain lines elsewhere.
type Progress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil where w is no terminal
	label string
	total int
	start time.Time
	first int       // what was already done at the start
	last  time.Time // of the last plain line
	every time.Duration
}

// NewProgress shows on w the way from done to total of what label names ("step", "row"); total 0 = unknown.
func NewProgress(w io.Writer, label string, done, total int) *Progress {
	p := &Progress{w: w, label: label, total: total, first: done, start: time.Now(), last: time.Now(), every: 2 * time.Second}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		size := total
		if size == 0 {
			size = -1
		}
		p.bar = progressbar.NewOptions(size, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(label),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(24), progressbar.OptionFullWidth())
		_ = p.bar.Set(done) // a bar that cannot be drawn must not stop the work
	}
	return p
}

// Step says that done of total are done; note ("loss 1.234, 410 tokens/s") stands beside the count.
func (p *Progress) Step(done int, note string) {
	if p.bar != nil {
		p.bar.Describe(p.label + " " + note)
		_ = p.bar.Set(done)
		return
	}
	if time.Since(p.last) < p.every && done != p.total {
		return
	}
	p.last = time.Now()
	fmt.Fprintln(p.w, p.line(done, note))
}

func (p *Progress) line(done int, note string) string {
	if p.total == 0 {
		return fmt.Sprintf("%s %d  %s", p.label, done, note)
	}
	s := fmt.Sprintf("%s %d/%d  %s", p.label, done, p.total, note)
	if n := done - p.first; n > 0 && done < p.total {
		left := time.Since(p.start) / time.Duration(n) * time.Duration(p.total-done)
		s += "  left " + left.Round(time.Second).String()
	}
	return s
}

// Say writes a line that stays, above the bar where there is one.
func (p *Progress) Say(line string) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintln(p.w, line)
}

// Done takes the bar away.
func (p *Progress) Done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
