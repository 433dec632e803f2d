package source

import (
	"fmt"
	"strings"

	"attune/data"
)

// RowError is one complaint: where, what is wrong, what to do. Line 0 means the file as a whole.
type RowError struct {
	data.Position
	What string
	Do   string
	Err  error // what found it wrong, nil = the reader
	form bool  // the row is in none of the schemas
}

// Unwrap is what found the row wrong.
func (e *RowError) Unwrap() error { return e.Err }

// Error gives `file:line: what; what to do`.
func (e *RowError) Error() string {
	s := where(e.Position) + ": " + e.What
	if e.Do != "" {
		s += "; " + e.Do
	}
	return s
}

func complain(file string, line int, what, do string) *RowError {
	return &RowError{Position: data.Position{File: file, Line: line}, What: what, Do: do}
}

func where(p data.Position) string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Errors is every complaint about a file, up to a limit, and how many there were beyond it.
type Errors struct {
	List []*RowError
	More int // complaints beyond those in List
}

// Error gives one complaint a line.
func (e *Errors) Error() string {
	var b strings.Builder
	for i, row := range e.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(row.Error())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n... and %d more", e.More)
	}
	return b.String()
}

// Unwrap lets errors.As find the first *RowError.
func (e *Errors) Unwrap() []error {
	list := make([]error, len(e.List))
	for i, row := range e.List {
		list[i] = row
	}
	return list
}

// add keeps a complaint, or counts it where there are limit already; limit 0 = 20.
func (e *Errors) add(row *RowError, limit int) {
	if limit <= 0 {
		limit = 20
	}
	if len(e.List) < limit {
		e.List = append(e.List, row)
	} else {
		e.More++
	}
}
