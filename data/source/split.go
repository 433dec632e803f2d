package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
		return complain(name, 1, what, do)
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
	case text[0] != 0 && !bytes.Contains(head, []byte("\n{")):
		what, do := guess(text)
		return nil, complain(name, line, "this is neither JSON Lines nor a JSON array"+what, do)
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

// guess names what text may be instead, and what to do.
func guess(text []byte) (what, do string) {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	do = "write each row as a JSON object on a line of its own"
	switch {
	case first[0] == '<':
		return ", it looks like HTML or XML", do
	case len(first) > maxHeader:
		return ", it looks like plain text", `write each document as {"text": ...} on a line of its own`
	case bytes.ContainsRune(first, '\t'):
		return ", it looks like tab-separated values", do
	case bytes.ContainsRune(first, ','):
		return ", it looks like CSV", do
	}
	return "", do
}

// maxHeader is a length that a table's line of column names hardly has.
const maxHeader = 200

// overLines complains if the first object of the file goes over several lines, naming the key its rows stand under if
// there is one. A first line that is broken is left to the row's own complaint.
func overLines(name string, text []byte, line int) error {
	end := bytes.IndexByte(text, '\n')
	if end < 0 || json.Valid(text[:end]) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	depth, key := 0, ""
	isKey, opened := false, false // the next token is a key of the outermost object; is the first of a list in it
	for {
		t, err := d.Token()
		if err != nil {
			return nil // broken, or longer than what we look at
		}
		switch t := t.(type) {
		case json.Delim:
			if t == '{' && opened && d.InputOffset() > int64(end) {
				return complain(name, line, fmt.Sprintf("the file is one object whose key %q holds the rows", clip(key)),
					fmt.Sprintf("keep only the array (jq '.[%q]')", clip(key)))
			}
			if t == '{' || t == '[' {
				depth++
			} else {
				depth--
			}
			opened = t == '[' && depth == 2
			isKey = depth == 1
			if depth == 0 {
				return complain(name, line, "a row goes over several lines",
					"write each row on one line (jq -c .) or all of them as one array")
			}
		case string:
			if opened = false; depth == 1 && isKey {
				key, isKey = t, false
			} else {
				isKey = depth == 1
			}
		default:
			opened, isKey = false, depth == 1
		}
	}
}
