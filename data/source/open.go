package source

import (
	"context"
	"io"
	"os"
	"time"
)

// opened is a file that is read until a context is done, even where there is nothing to read yet: a pipe.
type opened struct {
	f    *os.File
	ctx  context.Context
	undo func() bool
}

// open opens a file, which of a pipe that nobody writes to takes until ctx is done.
func open(ctx context.Context, path string) (*opened, error) {
	type result struct {
		f   *os.File
		err error
	}
	ready := make(chan result, 1)
	go func() {
		f, err := os.Open(path)
		ready <- result{f, err}
	}()
	select {
	case r := <-ready:
		if r.err != nil {
			return nil, r.err
		}
		// files other than pipes and terminals have no deadline, and need none
		undo := context.AfterFunc(ctx, func() { _ = r.f.SetReadDeadline(time.Unix(1, 0)) })
		return &opened{r.f, ctx, undo}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Read reads from the file.
func (o *opened) Read(b []byte) (int, error) {
	n, err := o.f.Read(b)
	if err != nil && err != io.EOF && o.ctx.Err() != nil {
		err = o.ctx.Err()
	}
	return n, err
}

// Close closes the file.
func (o *opened) Close() error {
	o.undo()
	return o.f.Close()
}
