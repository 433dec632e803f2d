package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// lines splits JSON Lines. Blank lines are no rows.
type lines struct {
	name string
	in   *bufio.Reader
	line int // of the row given last
	buf  []byte
	lost bool // in a row without end
}

// maxSkip is how far the end of a row over MaxRow is looked for, in bytes: a device may have none.
const maxSkip = 1 << 30

func (l *lines) next() ([]byte, int, error) {
	for {
		if l.lost {
			return nil, 0, io.EOF
		}
		raw, tooLong, err := l.readLine()
		if err != nil {
			return nil, 0, err
		}
		l.line++
		if tooLong {
			bad := tooLarge(l.name, l.line)
			if l.lost {
				bad.Do += "; nothing after it was read"
			}
			return nil, 0, bad
		}
		if raw = bytes.TrimRight(raw, jsonSpace); len(raw) > 0 {
			return raw, l.line, nil // blanks before the row stay, so that columns are right
		}
	}
}

// readLine gives the next line; io.EOF if there is none. Of a line over MaxRow only the length is found out.
func (l *lines) readLine() (raw []byte, tooLong bool, err error) {
	l.buf = l.buf[:0]
	length := 0
	for {
		part, err := l.in.ReadSlice('\n')
		length += len(part)
		if len(l.buf)+len(part) > MaxRow {
			tooLong = true
			l.buf = l.buf[:0]
		}
		if !tooLong {
			if err == nil && len(l.buf) == 0 {
				return part, false, nil // the line lies whole in the reader's buffer
			}
			if len(l.buf) > MaxRow/8 && cap(l.buf) < MaxRow { // at once: on the way there as much again would be thrown away
				l.buf = append(make([]byte, 0, MaxRow), l.buf...)
			}
			l.buf = append(l.buf, part...)
		}
		switch {
		case err == nil, errors.Is(err, io.EOF) && length > 0:
			return l.buf, tooLong, nil
		case length > maxSkip:
			l.lost = true
			return nil, true, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, false, err
		}
	}
}

func tooLarge(name string, line int) *RowError {
	return complain(name, line, fmt.Sprintf("the row takes more than %d MiB", MaxRow>>20), "split or remove the row")
}
