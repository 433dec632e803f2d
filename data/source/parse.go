package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"attune/data"
)

// parser reads one row and gathers what is odd about it.
type parser struct {
	at       data.Position
	warnings []Warning
}

func (p *parser) warn(kind WarningKind, format string, args ...any) {
	p.warnings = append(p.warnings, Warning{p.at, kind, fmt.Sprintf(format, args...)})
}

func (p *parser) bad(what, do string) *RowError { return &RowError{Position: p.at, What: what, Do: do} }

// check complains about bytes that are no JSON text.
func (p *parser) check(raw []byte) *RowError {
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		bad := p.bad("", "the file was damaged: write the row again or remove it")
		bad.Line, bad.What = place(p.at.Line, raw, i, "a NUL byte")
		return bad
	}
	if !utf8.Valid(raw) {
		i := 0
		for r, n := rune(0), 0; i < len(raw); i += n {
			if r, n = utf8.DecodeRune(raw[i:]); r == utf8.RuneError && n == 1 {
				break
			}
		}
		bad := p.bad("", "save the file as UTF-8 or write the row again")
		bad.Line, bad.What = place(p.at.Line, raw, i, fmt.Sprintf("the byte 0x%02x is not UTF-8", raw[i]))
		return bad
	}
	if bad := checkSyntax(p.at, raw); bad != nil {
		return bad
	}
	if hasLoneSurrogate(raw) {
		p.warn(LoneSurrogate, `a \u escape is half of a surrogate pair and is read as U+FFFD`)
	}
	return nil
}

// checkSyntax complains about text that is not one JSON value, on the line where that shows.
func checkSyntax(at data.Position, raw []byte) *RowError {
	if json.Valid(raw) {
		return nil
	}
	var value json.RawMessage
	err := json.Unmarshal(raw, &value)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return complain(at.File, at.Line, fmt.Sprintf("not JSON: %v", err), "write the row again or remove it")
	}
	bad := &RowError{Position: at, Do: "write the row again or remove it"}
	if cutOff(raw) {
		bad.Line += bytes.Count(raw, []byte("\n"))
		bad.What, bad.Do = "the row ends before its JSON does", "close what is open (a quote, a bracket, a brace) or remove the row"
		return bad
	}
	i := max(int(syntax.Offset)-1, 0)
	bad.Line, bad.What = place(at.Line, raw, i, "not JSON: "+syntax.Error())
	return bad
}

// cutOff says whether text is the beginning of JSON without its end.
func cutOff(raw []byte) bool {
	var value json.RawMessage
	err := json.Unmarshal(raw, &value)
	return err != nil && strings.HasPrefix(err.Error(), "unexpected end of JSON input")
}

// place adds the column of byte i, in characters from 1, to what is wrong there, and gives its line.
func place(line int, raw []byte, i int, what string) (int, string) {
	before := raw[:min(i, len(raw))]
	line += bytes.Count(before, []byte("\n"))
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return line, fmt.Sprintf("%s (column %d)", what, column)
}

// field is one member of an object; value is JSON.
type field struct {
	key   string
	value []byte
}

// object is the members of an object in their order, each key once.
type object []field

func (o object) get(key string) ([]byte, bool) {
	for _, f := range o {
		if f.key == key {
			return f.value, true
		}
	}
	return nil, false
}

func (o object) has(key string) bool {
	_, ok := o.get(key)
	return ok
}

// set gives the value of a key that is there and not null.
func (o object) set(key string) ([]byte, bool) {
	v, ok := o.get(key)
	return v, ok && kind(v) != "null"
}

// object takes a valid JSON object apart. Of a key that stands twice the last value is kept, as other readers do.
func (p *parser) object(raw []byte) object {
	var o object
	at := map[string]int{}
	i := skipSpace(raw, 0) + 1
	for i = skipSpace(raw, i); raw[i] != '}'; i = skipSpace(raw, i) {
		if raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
		end := valueEnd(raw, i)
		key := text(raw[i:end])
		i = skipSpace(raw, skipSpace(raw, end)+1) // the colon
		end = valueEnd(raw, i)
		value := raw[i:end]
		i = end
		if k, twice := at[key]; twice {
			p.warn(DuplicateKey, "the key %q stands twice and its last value is read", clip(key))
			o[k].value = value
			continue
		}
		at[key] = len(o)
		o = append(o, field{key, value})
	}
	return o
}

// elements takes a valid JSON array apart.
func elements(raw []byte) [][]byte {
	var list [][]byte
	i := skipSpace(raw, 0) + 1
	for i = skipSpace(raw, i); raw[i] != ']'; i = skipSpace(raw, i) {
		if raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
		end := valueEnd(raw, i)
		list = append(list, raw[i:end])
		i = end
	}
	return list
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// valueEnd is where the value that begins at i ends, in valid JSON.
func valueEnd(raw []byte, i int) int {
	depth := 0
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// text decodes a valid JSON string.
func text(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		panic("source: text of unchecked JSON: " + err.Error())
	}
	return s
}

// kind names what a valid JSON value is.
func kind(raw []byte) string {
	switch raw[skipSpace(raw, 0)] {
	case '"':
		return "text"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

// hasLoneSurrogate looks for a \u escape of a surrogate without its other half.
func hasLoneSurrogate(raw []byte) bool {
	for i := bytes.IndexByte(raw, '\\'); i >= 0 && i+5 < len(raw); {
		high := surrogate(raw[i:])
		switch {
		case high == 0xd800 && surrogate(raw[i+6:]) == 0xdc00:
			i += 12
		case high != 0:
			return true
		default:
			i += 2 // past the escaped character, which may be a backslash
		}
		next := bytes.IndexByte(raw[min(i, len(raw)):], '\\')
		if next < 0 {
			return false
		}
		i += next
	}
	return false
}

// surrogate is 0xd800 or 0xdc00 where raw begins with an escape of a high or low surrogate, else 0.
func surrogate(raw []byte) int {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' || raw[2]|0x20 != 'd' {
		return 0
	}
	switch c := raw[3] | 0x20; {
	case c == '8' || c == '9' || c == 'a' || c == 'b':
		return 0xd800
	case c >= 'c' && c <= 'f':
		return 0xdc00
	}
	return 0
}
