// Package corpus turns files of rows into the examples of a run: it reads, renders with the chat template, tokenizes,
// marks what is trained and cuts, and counts what became of every row. Everything wrong with the rows of all files is
// reported together, before any weights are loaded.
package corpus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"attune/data"
	"attune/data/chat"
	"attune/data/loader"
	"attune/data/source"
	"attune/data/tokenizer"
	"attune/internal/rng"
)

// Options say how rows become examples.
type Options struct {
	Template    *chat.Template // nil = none: rows of plain text only
	NoTemplate  error          // why there is none, for rows that need one
	Tokenizer   *tokenizer.Tokenizer
	Doubts      []chat.Finding  // of the template, see chat.Template.Doubts; said of each file
	Stops       []int32         // ids at which the model stops by its own files, see chat.OwnStops
	Ends        []int32         // ids that end a turn: those, and what the template writes behind an answer, see chat.Template.Stops
	TrainOn     string          // all | last
	System      string          // for conversations that have no system message
	SystemRatio float64         // share of the rows that get it
	Seed        uint64          // chooses them
	Now         time.Time       // what strftime_now reads; zero = the clock
	Context     context.Context // ends a rendering when it is done; nil = nothing does
	MaxLength   int
	Overlength  chat.Policy
	Names       chat.Names     // of the two, in complaints
	MaxCutShare *float64       // most of a file's rows that may be cut or left out, 0 to 1; nil = any
	Kwargs      map[string]any // further variables of the template
	VocabSize   int            // ids of the model; a row with others is refused; 0 = whatever the tokenizer gives
	Window      int            // most tokens the model was made for; a longer example is refused; 0 = any
	Dir         string         // where examples are kept until the run ends, see loader.NewSet; "" = in memory
	Progress    func(rows int) // called now and then; nil = not
}

// SystemOf is the system prompt that a file's row number n, from 1, gets if it has none: System, or "" where SystemRatio
// leaves it out.
func (o Options) SystemOf(n int) string {
	if o.System == "" || rng.New(o.Seed, rng.Hash("system"), uint64(n)).Float64() >= o.SystemRatio {
		return ""
	}
	return o.System
}

// Render says how a file's row number n, from 1, is rendered.
func (o Options) Render(n int) chat.RenderOptions {
	return chat.RenderOptions{TrainOn: o.TrainOn, System: o.SystemOf(n), Kwargs: o.Kwargs, Now: o.Now, Context: o.Context}
}

// File is one source of rows.
type File struct {
	Path   string
	Format string
}

// Report is what became of a file's rows.
type Report struct {
	Path          string `json:"path"`
	Schema        string `json:"schema"`
	Rows          int    `json:"rows"`
	Examples      int    `json:"examples"`
	Tokens        int    `json:"tokens"`
	TrainedTokens int    `json:"trained_tokens"`
	Longest       int    `json:"longest"` // tokens of the longest example
	Cut           int    `json:"cut,omitempty"`
	Split         int    `json:"split,omitempty"`
	Dropped       int    `json:"dropped,omitempty"`
	TrainedLost   int    `json:"trained_tokens_lost,omitempty"` // by cutting and dropping
	StopsTrained  int    `json:"stops_trained"`                 // trained tokens at which the model stops
	Warnings      int    `json:"warnings,omitempty"`

	Odd []string `json:"odd,omitempty"` // the first warnings, as file:line: what
}

// oddShown is how many warnings of a file a report carries in words.
const oddShown = 5

func (r *Report) warn(w source.Warning) {
	r.Warnings++
	if len(r.Odd) < oddShown {
		r.Odd = append(r.Odd, w.String())
	}
}

// Error is everything wrong with the rows of a run, one complaint a line.
type Error struct{ Files []error }

// Error gives one complaint a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Files))
	for i, f := range e.Files {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the complaints of each file.
func (e *Error) Unwrap() []error { return e.Files }

// ReadAll reads every file, one Set and one Report each. Its error is an *Error with the complaints of all files, that of
// ctx, or a loader.ErrDisk.
func ReadAll(ctx context.Context, files []File, o Options) ([]*loader.Set, []Report, error) {
	var sets []*loader.Set
	var reports []Report
	bad := &Error{}
	for _, f := range files {
		set, report, err := read(ctx, f, o)
		sets, reports = append(sets, set), append(reports, report)
		switch {
		case ctx.Err() != nil:
			closeAll(sets)
			return nil, nil, fmt.Errorf("read %s: %w", f.Path, ctx.Err())
		case errors.Is(err, loader.ErrDisk):
			closeAll(sets)
			return nil, nil, fmt.Errorf("read %s: %w", f.Path, err)
		case err != nil:
			bad.Files = append(bad.Files, err)
		}
	}
	if len(bad.Files) > 0 {
		closeAll(sets)
		return nil, nil, bad
	}
	return sets, reports, nil
}

// closeAll gives the files of sets back where what was wrong with the rows says more than an error of that.
func closeAll(sets []*loader.Set) {
	for _, s := range sets {
		_ = s.Close()
	}
}

// read reads one file. The set is to be closed, whatever the error.
func read(ctx context.Context, f File, o Options) (*loader.Set, Report, error) {
	o.Names, o.Context = o.Names.OrKeys(), ctx
	b := &builder{o: o, set: loader.NewSet(o.Dir), report: Report{Path: f.Path}, faults: faults{}}
	r, err := source.Open(ctx, f.Path, source.Options{Format: f.Format, Warn: b.report.warn})
	if err != nil {
		return b.set, b.report, err
	}
	defer r.Close()
	row := func(c data.Conversation) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return b.row(c)
	}
	if err := r.Each(row); err != nil {
		return b.set, b.report, b.refused(err)
	}
	b.report.Schema = r.Schema()
	return b.set, b.report, b.check()
}

// builder collects the examples of one file.
type builder struct {
	o      Options
	set    *loader.Set
	report Report
	faults faults
	tally
}

// row adds the examples of one conversation; what is wrong with it comes back as a *source.RowError, unless that of another
// row stands for it.
func (b *builder) row(c data.Conversation) error {
	b.report.Rows++
	if b.o.Progress != nil && b.report.Rows%512 == 0 {
		b.o.Progress(b.report.Rows)
	}
	if c.Messages == nil {
		b.texts++
	}
	all, err := b.o.Make(b.report.Rows, c)
	b.see(all, b.o)
	if endless(err) {
		return fmt.Errorf("%s; the rows behind it were not tried", err) // an error of the file: reading ends
	}
	if err != nil {
		return b.faults.add(err)
	}
	for _, m := range all {
		b.report.Cut += m.Cut.Cut
		b.report.Dropped += m.Cut.Dropped
		b.report.TrainedLost += m.Cut.TrainedLost
		if m.Cut.Split > 0 {
			b.report.Split++
		}
		for _, part := range m.Cut.Examples {
			if err := b.add(part, c.Messages == nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// add keeps an example; text = it is of a row of plain text.
func (b *builder) add(e data.Example, text bool) error {
	if err := b.set.Add(e); err != nil {
		return err
	}
	b.report.Examples++
	b.report.Tokens += len(e.IDs)
	b.report.TrainedTokens += e.Trained()
	b.report.Longest = max(b.report.Longest, len(e.IDs))
	b.trained(e, text)
	return nil
}
