package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"attune/data"
)

// splitter gives the bytes of one row after another, not checked, with the line it begins on; io.EOF after the last.
// After a *RowError it can be asked again. The bytes are valid until the next call.
type splitter interface {
	next() (raw []byte, line int, err error)
}

// sniffSize is how much of a file is looked at to find out what it is.
const sniffSize = 64 << 10

// sniff tells lines from an array, and what is neither.
func sniff(name string, in io.Reader) (splitter, error) {
	b := bufio.NewReaderSize(in, sniffSize)
	head, err := b.Peek(sniffSize)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	whole := func(what, do string) error {
		return &RowError{data.Position{File: name, Line: 1}, what, do}
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return nil, whole("this is "+f.what+", not JSON", f.do)
		}
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) { // byte order mark
		b.Discard(3)
		head = head[3:]
	}
	line := 1 + bytes.Count(head[:len(head)-len(bytes.TrimLeft(head, jsonSpace))], []byte("\n"))
	text := bytes.TrimLeft(head, jsonSpace)
	switch {
	case len(text) == 0:
		// Nothing yet, or more blanks than we looked at: lines will tell.
	case text[0] == '[':
		return &array{name: name, in: b, line: 1}, nil
	case text[0] == '{':
		if bad := overLines(name, text, line); bad != nil {
			return nil, bad
		}
	case !bytes.Contains(head, []byte("{")):
		return nil, &RowError{data.Position{File: name, Line: line}, "this is not JSON" + guess(text),
			"write each row as a JSON object on a line of its own"}
	case text[0] != 0 && !bytes.Contains(head, []byte("\n{")):
		return nil, &RowError{data.Position{File: name, Line: line}, "this is not JSON Lines" + guess(text),
			"write each row as a JSON object on a line of its own"}
	}
	return &lines{name: name, in: b}, nil
}

const jsonSpace = " \t\r\n"

// foreign are the beginnings of files that people hand over by mistake.
var foreign = []struct{ magic, what, do string }{
	{"\x1f\x8b", "a gzip file", "unpack it with gunzip"},
	{"\x28\xb5\x2f\xfd", "a zstd file", "unpack it with unzstd"},
	{"PK\x03\x04", "a zip file", "unpack it"},
	{"PAR1", "a Parquet file", "convert it to JSON Lines"},
	{"ARROW1", "an Arrow file", "convert it to JSON Lines"},
	{"\xff\xfe", "UTF-16 text", "save it as UTF-8"},
	{"\xfe\xff", "UTF-16 text", "save it as UTF-8"},
}

// guess names what text may be instead.
func guess(text []byte) string {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case bytes.ContainsAny(first, "\t"):
		return ", it looks like tab-separated values"
	case bytes.Contains(first, []byte(",")):
		return ", it looks like CSV"
	case first[0] == '<':
		return ", it looks like HTML or XML"
	}
	return ""
}

// overLines complains if the first object of the file goes over several lines, naming the key its rows stand under if
// there is one. A first line that is broken is left to the row's own complaint.
func overLines(name string, text []byte, line int) error {
	end := bytes.IndexByte(text, '\n')
	if end < 0 || json.Valid(text[:end]) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	depth, key, isKey := 0, "", false
	for {
		t, err := d.Token()
		if err != nil {
			return nil // broken, or longer than what we look at
		}
		past := d.InputOffset() > int64(end)
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				depth++
				if depth == 2 && t == '[' && past {
					if next, err := d.Token(); err == nil && next == json.Delim('{') {
						return &RowError{data.Position{File: name, Line: line}, fmt.Sprintf("the file is one object whose key %q holds the rows", key),
							fmt.Sprintf("keep only the array (jq '.%s')", key)}
					}
					return nil
				}
			default:
				depth--
			}
			if depth == 0 {
				return &RowError{data.Position{File: name, Line: line}, "a row goes over several lines",
					"write each row on one line (jq -c .) or all of them as one array"}
			}
			isKey = depth == 1
			continue
		case string:
			if depth == 1 && isKey {
				key, isKey = t, false
				continue
			}
		}
		isKey = depth == 1
	}
}
