package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"attune/data"
	"attune/data/source"
)

// stdinName is what complaints call standard input.
const stdinName = "standard input"

// lineError is the answer to a line that has no other.
type lineError struct {
	Error string `json:"error"`
}

// fields are the keys of a JSON object by where their values go.
type fields map[string]any

// asks reads questions, one JSON object a line, and writes an answer a line in the same order.
type asks struct {
	s       streams
	in      *bufio.Reader
	line    int
	bad     source.Errors
	unknown map[string]bool // keys that were said to be unknown
}

// maxComplaints is how many bad lines the error names.
const maxComplaints = 20

// answerLines has every line of standard input answered. A line that answer cannot make sense of is answered by what is
// wrong with it and does not end the others; the error then names all such lines. Blank lines are no questions. The answers
// end when ctx is done, with its error.
func answerLines(ctx context.Context, s streams, answer func(a *asks, line []byte) (any, error)) error {
	a := &asks{s: s, in: bufio.NewReader(s.in), unknown: map[string]bool{}}
	w := bufio.NewWriter(s.out)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for {
		raw, err := a.next()
		if err == io.EOF {
			break
		}
		var reply any
		if err == nil {
			if len(raw) == 0 {
				continue
			}
			if reply, err = answer(a, raw); ctx.Err() != nil {
				return errors.Join(ctx.Err(), w.Flush())
			}
		} else if !errors.Is(err, errLongLine) {
			return errors.Join(fmt.Errorf("read %s: %w", stdinName, err), w.Flush())
		}
		if err != nil {
			reply = lineError{a.complain(err).Error()}
		}
		if err := out.Encode(reply); err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		if a.in.Buffered() == 0 { // whoever asks may be waiting
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write the answer: %w", err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if len(a.bad.List) > 0 {
		return &a.bad
	}
	return nil
}

func (a *asks) complain(err error) *source.RowError {
	bad := &source.RowError{Position: data.Position{File: stdinName, Line: a.line}, What: err.Error()}
	if len(a.bad.List) < maxComplaints {
		a.bad.List = append(a.bad.List, bad)
	} else {
		a.bad.More++
	}
	return bad
}

var errLongLine = fmt.Errorf("the line takes more than %d MiB", source.MaxRow>>20)

// next gives the next line without the blanks around it; io.EOF if there is none.
func (a *asks) next() ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := a.in.ReadSlice('\n')
		if long = long || len(line)+len(part) > source.MaxRow; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF && len(line) == 0 && !long:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, err
		}
		a.line++
		if long {
			return nil, errLongLine
		}
		return bytes.TrimSpace(line), nil
	}
}

// read takes a JSON object apart. A key that is none of known is said once, and not read.
func (a *asks) read(line []byte, known fields) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil || object == nil {
		if err == nil || line[0] != '{' {
			err = errors.New("it is no JSON object")
		}
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		to, ok := known[key]
		if !ok {
			if !a.unknown[key] {
				a.unknown[key] = true
				fmt.Fprintf(a.s.err, "warning: %s:%d: the key %q is not read; those that are: %q\n", stdinName, a.line, key, slices.Sorted(maps.Keys(known)))
			}
			continue
		}
		err := json.Unmarshal(object[key], to)
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return fmt.Errorf("%q is %s, not %s", key, kindOf(object[key]), kindFor(wrong.Type))
		}
		if err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return nil
}

// kindOf is what a reader calls a JSON value.
func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "text"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}

// kindFor is what a reader calls the JSON values of a type that fields have.
func kindFor(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	}
	return "an object"
}
