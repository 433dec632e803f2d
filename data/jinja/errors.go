package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says who complains.
type Kind int

// The kinds of Error.
const (
	Syntax  Kind = iota // the template cannot be compiled
	Runtime             // an operation that Python or Jinja would refuse too
	Raised              // the template called raise_exception
	Limit               // a bound on steps, bytes or depth was reached
)

// Error is every error of this package. Line and Col count from 1, Col in characters; 0 = unknown.
type Error struct {
	Kind      Kind
	Line, Col int
	Msg       string // for Raised the template's own words
}

// Error gives the position and the message in one sentence.
func (e *Error) Error() string {
	if e.Line == 0 {
		return "chat template: " + e.Msg
	}
	return fmt.Sprintf("chat template, line %d, column %d: %s", e.Line, e.Col, e.Msg)
}

// pos is a place in the source.
type pos struct{ line, col int32 }

func (p pos) at() pos { return p }

// maxMessage bounds what a fault quotes of a template's values.
const maxMessage = 500

// fault makes a runtime error; the evaluator adds the position of the innermost node.
func fault(format string, args ...any) error {
	msg := fmt.Sprintf(format, args...)
	if len(msg) > maxMessage {
		msg = strings.ToValidUTF8(msg[:maxMessage], "") + "..."
	}
	return &Error{Kind: Runtime, Msg: msg}
}

func limit(format string, args ...any) error {
	return &Error{Kind: Limit, Msg: fmt.Sprintf(format, args...)}
}

// located puts p on an error that has no position yet.
func located(err error, p pos) error {
	var e *Error
	if errors.As(err, &e) && e.Line == 0 {
		e.Line, e.Col = int(p.line), int(p.col)
	}
	return err
}
