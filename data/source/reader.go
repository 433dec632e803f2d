package source

import (
	"context"
	"fmt"
	"io"

	"attune/data"
)

// Reader reads the rows of one file. It is for one goroutine.
type Reader struct {
	name     string
	file     io.Closer
	rows     splitter
	opts     Options
	schema   string // of the file; "" until a row has told it
	schemaAt int    // the line that told it
	ahead    []result
	done     bool
}

// result is what Next is going to return.
type result struct {
	row      data.Conversation
	warnings []Warning
	err      error
}

// primeRows is how many rows Open reads at most to learn the schema.
const primeRows = 100

// Open opens a file, finds out what holds its rows (lines or one array, whatever its name says) and which schema they
// have. What makes the whole file unreadable (no rows, CSV, compression, rows under a key) is a *RowError. Once ctx is done
// its error is all there is, even of a pipe that nobody writes to.
func Open(ctx context.Context, path string, o Options) (*Reader, error) {
	f, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open rows: %w; check data.train and data.eval", err)
	}
	if info, err := f.f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, complain(path, 0, "is a directory", "name a .jsonl or .json file in it")
	}
	r, err := NewReader(path, f, o)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.file = f
	return r, nil
}

// NewReader reads rows from in, as Open does; name stands for the file in positions.
func NewReader(name string, in io.Reader, o Options) (*Reader, error) {
	if o.Format == "" {
		o.Format = Auto
	}
	if !known(o.Format) {
		return nil, complain(name, 0, fmt.Sprintf("format %q is not known", o.Format), "set format to "+list(Formats()))
	}
	rows, err := sniff(name, in)
	if err != nil {
		return nil, err
	}
	r := &Reader{name: name, rows: rows, opts: o}
	if o.Format != Auto {
		r.schema = o.Format
	}
	for len(r.ahead) == 0 || (r.schema == "" && len(r.ahead) < primeRows) {
		next := r.read()
		r.ahead = append(r.ahead, next)
		if next.err == io.EOF {
			break
		}
	}
	if r.ahead[0].err == io.EOF {
		return nil, complain(name, 0, "the file holds no rows", "write rows into it or remove it from the run file")
	}
	if bad := r.foreign(); bad != nil {
		return nil, bad
	}
	return r, nil
}

// foreign complains once about a file none of whose rows is in a schema, all for the same reason.
func (r *Reader) foreign() *RowError {
	var first *RowError
	for _, next := range r.ahead {
		bad, _ := next.err.(*RowError)
		switch {
		case next.err == io.EOF && first != nil:
		case bad == nil || !bad.form, first != nil && bad.What != first.What:
			return nil
		case first == nil:
			first = bad
		}
	}
	return first
}

// Next gives the next row; io.EOF after the last. A *RowError is about one row, and reading goes on after it; any other
// error ends the file.
func (r *Reader) Next() (data.Conversation, error) {
	var next result
	if len(r.ahead) > 0 {
		next = r.ahead[0]
		r.ahead = r.ahead[1:]
	} else {
		next = r.read()
	}
	if r.opts.Warn != nil {
		for _, w := range next.warnings {
			r.opts.Warn(w)
		}
	}
	return next.row, next.err
}

// Schema is the file's schema, "" if no row has told it yet.
func (r *Reader) Schema() string { return r.schema }

// Close closes the file.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

func (r *Reader) read() result {
	if r.done {
		return result{err: io.EOF}
	}
	raw, line, err := r.rows.next()
	if err != nil {
		if err == io.EOF {
			r.done = true
			return result{err: io.EOF}
		}
		bad, isRow := err.(*RowError)
		if !isRow {
			r.done = true
			return result{err: fmt.Errorf("read %s: %w", r.name, err)}
		}
		return result{err: bad}
	}
	p := parser{at: data.Position{File: r.name, Line: line}}
	row, bad := r.parse(&p, raw)
	if bad != nil {
		return result{err: bad}
	}
	return result{row: row, warnings: p.warnings}
}
