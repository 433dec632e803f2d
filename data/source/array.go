package source

import (
	"bufio"
	"io"

	"attune/data"
)

// array splits one JSON array into its elements. It looks at strings, brackets and commas only: each element is checked
// by whoever parses it, and reading goes on after a bad one as long as its brackets match.
type array struct {
	name  string
	in    *bufio.Reader
	line  int // where reading stands
	state arrayState
	buf   []byte
	open  []byte // the brackets that are open in the element being read
}

type arrayState int

const (
	beforeArray arrayState = iota
	beforeFirst            // after the opening bracket
	afterElement
	afterComma
	closed
	ended
)

func (a *array) next() ([]byte, int, error) {
	for {
		if a.state == ended {
			return nil, 0, io.EOF
		}
		c, err := a.readByte()
		if err == io.EOF {
			return nil, 0, a.atEnd()
		}
		if err != nil {
			return nil, 0, err
		}
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case a.state == closed:
			a.state = ended
			return nil, 0, a.complain("something follows the closing bracket of the array", "remove it")
		case a.state == beforeArray:
			a.state = beforeFirst // sniff has seen the bracket
		case c == ']':
			comma := a.state == afterComma
			a.state = closed
			if comma {
				return nil, 0, a.complain("a comma stands before the closing bracket of the array", "remove the comma")
			}
		case c == ',':
			if a.state != afterElement {
				return nil, 0, a.complain("a comma without a row before it", "remove the comma")
			}
			a.state = afterComma
		case a.state == afterElement:
			a.state = afterComma
			a.in.UnreadByte()
			return nil, 0, a.complain("the comma between two rows is missing", "add it")
		default:
			return a.element(c)
		}
	}
}

func (a *array) atEnd() error {
	open := a.state != closed
	a.state = ended
	if open {
		return a.complain("the file ends before the array is closed", "it may be cut off: get it again, or add the closing bracket")
	}
	return io.EOF
}

// element reads the element that begins with c, up to the comma or bracket after it.
func (a *array) element(c byte) ([]byte, int, error) {
	begin := a.line
	a.buf = a.buf[:0]
	a.open = a.open[:0]
	inString, escaped := false, false
	for {
		if len(a.buf) == MaxRow {
			a.state = ended
			bad := tooLarge(a.name, begin)
			bad.Do += "; nothing after it was read"
			return nil, 0, bad
		}
		a.buf = append(a.buf, c)
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			a.open = append(a.open, c)
		case c == '}' || c == ']':
			last := len(a.open) - 1
			if last < 0 || a.open[last] != c-2 { // '[' and '{' are two before their partners
				return nil, 0, a.lost(begin)
			}
			if a.open = a.open[:last]; last == 0 {
				a.state = afterElement
				return a.buf, begin, nil
			}
		}
		if len(a.open) == 0 && !inString {
			// A string is whole with its closing quote; a number or a word ends where something else begins.
			next, err := a.in.Peek(1)
			if c == '"' || err != nil || delimits(next[0]) {
				a.state = afterElement
				return a.buf, begin, nil
			}
		}
		var err error
		if c, err = a.readByte(); err == io.EOF {
			return nil, 0, a.lost(begin)
		} else if err != nil {
			return nil, 0, err
		}
	}
}

// lost ends the reading inside an element that has no end, for a bracket or a quote that is missing or wrong.
func (a *array) lost(begin int) *RowError {
	a.state = ended
	if cutOff(a.buf) {
		return complain(a.name, begin, "the file ends in the middle of this row",
			"it may be cut off: get it again, or complete the row and close the array")
	}
	bad := checkSyntax(data.Position{File: a.name, Line: begin}, a.buf)
	bad.Do += "; nothing after it was read"
	return bad
}

func delimits(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ',', ']', '}', '{', '[', '"':
		return true
	}
	return false
}

func (a *array) readByte() (byte, error) {
	c, err := a.in.ReadByte()
	if c == '\n' {
		a.line++
	}
	return c, err
}

func (a *array) complain(what, do string) error {
	return complain(a.name, a.line, what, do)
}
