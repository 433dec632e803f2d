// Package corpus turns files of rows into the examples of a run: it reads, renders with the chat template, tokenizes,
// marks what is trained and cuts, and counts what became of every row. Everything wrong with the rows of all files is
// reported together, before any weights are loaded.
package corpus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	Stops       []int32 // ids that end a turn, see chat.Template.Stops
	TrainOn     string  // all | last
	System      string  // for conversations that have no system message
	SystemRatio float64 // share of the rows that get it
	Seed        uint64  // chooses them
	MaxLength   int
	Overlength  chat.Policy
	VocabSize   int            // ids of the model; a row with others is refused; 0 = whatever the tokenizer gives
	Window      int            // most tokens the model was made for; a longer example is refused; 0 = any
	Dir         string         // where examples are kept until the run ends, see loader.NewSet; "" = in memory
	Progress    func(rows int) // called now and then; nil = not
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
	StopsTrained  int    `json:"stops_trained"`                 // trained end-of-turn tokens
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

// ReadAll reads every file, one Set and one Report each. Its error is an *Error with the complaints of all files, or that
// of ctx.
func ReadAll(ctx context.Context, files []File, o Options) ([]*loader.Set, []Report, error) {
	var sets []*loader.Set
	var reports []Report
	bad := &Error{}
	for _, f := range files {
		set, report, err := read(ctx, f, o)
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("read %s: %w", f.Path, ctx.Err())
		}
		if err != nil {
			bad.Files = append(bad.Files, err)
		}
		sets, reports = append(sets, set), append(reports, report)
	}
	if len(bad.Files) > 0 {
		for _, s := range sets {
			if s != nil {
				_ = s.Close() // what is wrong with the rows says more
			}
		}
		return nil, nil, bad
	}
	return sets, reports, nil
}

// read reads one file.
func read(ctx context.Context, f File, o Options) (*loader.Set, Report, error) {
	b := &builder{o: o, set: loader.NewSet(o.Dir), report: Report{Path: f.Path}}
	r, err := source.Open(f.Path, source.Options{Format: f.Format, Warn: b.report.warn})
	if err != nil {
		return nil, b.report, err
	}
	defer r.Close()
	row := func(c data.Conversation) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return b.row(c)
	}
	if err := r.Each(row); err != nil {
		return nil, b.report, err
	}
	b.report.Schema = r.Schema()
	return b.set, b.report, b.check()
}

// builder collects the examples of one file.
type builder struct {
	o      Options
	set    *loader.Set
	report Report
	texts  int // rows of plain text
}

// row adds the examples of one conversation; what is wrong with it comes back as a *source.RowError.
func (b *builder) row(c data.Conversation) error {
	b.report.Rows++
	if b.o.Progress != nil && b.report.Rows%512 == 0 {
		b.o.Progress(b.report.Rows)
	}
	if c.Messages == nil {
		b.texts++
	} else if b.o.Template == nil {
		return b.o.NoTemplate // no row can be rendered: one complaint is enough
	}
	o := chat.EncodeOptions{RenderOptions: chat.RenderOptions{TrainOn: b.o.TrainOn}}
	if b.o.System != "" && rng.New(b.o.Seed, rng.Hash("system"), uint64(b.report.Rows)).Float64() < b.o.SystemRatio {
		o.System = b.o.System
	}
	examples, err := b.o.Template.EncodeAll(b.o.Tokenizer, c, o)
	if err != nil {
		return complaint(c.Position, err)
	}
	for _, e := range examples {
		cut, err := chat.Cut(e, b.o.MaxLength, b.o.Overlength)
		if err != nil {
			return complaint(c.Position, err)
		}
		b.report.Cut += cut.Cut
		b.report.Dropped += cut.Dropped
		b.report.TrainedLost += cut.TrainedLost
		if cut.Split > 0 {
			b.report.Split++
		}
		for _, part := range cut.Examples {
			if err := b.add(part); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) add(e data.Example) error {
	if err := b.fits(e); err != nil {
		return err
	}
	if err := b.set.Add(e); err != nil {
		return err
	}
	b.report.Examples++
	b.report.Tokens += len(e.IDs)
	b.report.TrainedTokens += e.Trained()
	b.report.Longest = max(b.report.Longest, len(e.IDs))
	for i := 1; i < len(e.IDs); i++ {
		if e.Weights[i] != 0 && slices.Contains(b.o.Stops, e.IDs[i]) {
			b.report.StopsTrained++
		}
	}
	return nil
}

// fits says what the model cannot read of an example.
func (b *builder) fits(e data.Example) error {
	if w := b.o.Window; w > 0 && len(e.IDs) > w {
		return &source.RowError{Position: e.Position, What: fmt.Sprintf("%d tokens, but the model was made for %d (max_position_embeddings)", len(e.IDs), w),
			Do: fmt.Sprintf("set data.max_length (of eval: --max-length), which is %d, to at most %d", b.o.MaxLength, w)}
	}
	if b.o.VocabSize == 0 || len(e.IDs) == 0 {
		return nil
	}
	if id := slices.Max(e.IDs); int(id) >= b.o.VocabSize {
		token, _ := b.o.Tokenizer.Token(id)
		return &source.RowError{Position: e.Position, What: fmt.Sprintf("token %q has the id %d, but the model's vocab_size is %d", token, id, b.o.VocabSize),
			Do: "take the tokenizer the model was made with, or give the model rows for its new tokens"}
	}
	return nil
}

// check is what must hold of the file as a whole.
func (b *builder) check() error {
	at := data.Position{File: b.report.Path}
	switch {
	case b.report.TrainedTokens == 0:
		return &source.RowError{Position: at, What: fmt.Sprintf("none of the %d tokens would be trained (%d rows cut, %d dropped)", b.report.Tokens, b.report.Cut, b.report.Dropped),
			Do: "raise data.max_length, or look at the rows"}
	case b.report.StopsTrained == 0 && b.texts < b.report.Rows:
		return &source.RowError{Position: at, What: fmt.Sprintf("no end-of-turn token is ever trained in %d examples, so the model would not learn to stop", b.report.Examples),
			Do: "set template to the one the model was made for, or raise data.max_length"}
	}
	return nil
}

// complaint gives an error the position of its row, unless it has one.
func complaint(at data.Position, err error) error {
	var row *source.RowError
	if errors.As(err, &row) {
		return row
	}
	what, do, ok := strings.Cut(err.Error(), "; ")
	if !ok {
		do = ""
	}
	what = strings.TrimPrefix(what, fmt.Sprintf("%s:%d: ", at.File, at.Line))
	return &source.RowError{Position: at, What: what, Do: do}
}
