package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// scanner reads JSON where it lies, in one pass and value by value: a hostile header has 100 MiB, of which nothing is
// kept before it is known to be worth keeping.
type scanner struct {
	b  []byte
	at int
}

// peek is the next byte that is no blank, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take steps over c if it is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.at == len(s.b) {
		return false
	}
	s.at++
	return true
}

// want complains that something else stands where what belongs.
func (s *scanner) want(what string) error {
	if s.peek(); s.at == len(s.b) {
		return fmt.Errorf("it ends where %s belongs", what)
	}
	return fmt.Errorf("%q where %s belongs", s.b[s.at:min(s.at+20, len(s.b))], what)
}

// object calls f for each member of an object, which reads its value. Keys have at most maxName bytes.
func (s *scanner) object(what string, f func(key string) error) error {
	if !s.take('{') {
		return s.want(what + ", an object,")
	}
	if s.take('}') {
		return nil
	}
	for {
		key, err := s.text("a name", maxName)
		if err != nil {
			return err
		}
		if !s.take(':') {
			return fmt.Errorf("%s: %w", quote(key), s.want("a colon"))
		}
		if err := f(key); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.want("a comma or the end of " + what)
		}
	}
}

// text reads a string of at most so many bytes.
func (s *scanner) text(what string, most int) (string, error) {
	if !s.take('"') {
		return "", s.want(what)
	}
	from, escaped := s.at, false
	for ; ; s.at++ {
		switch {
		case s.at >= len(s.b):
			return "", fmt.Errorf("it ends within %s", what)
		case s.at-from > 6*most: // \u0061 is one byte
			return "", fmt.Errorf("%s has more than %d bytes", what, most)
		case s.b[s.at] == '\\':
			s.at++
			escaped = true
			continue
		case s.b[s.at] != '"':
			continue
		}
		break
	}
	raw := s.b[from:s.at]
	s.at++
	if !utf8.Valid(raw) {
		return "", fmt.Errorf("%s, %s, is not UTF-8", what, quote(string(raw)))
	}
	text := ""
	if escaped {
		if err := json.Unmarshal(s.b[from-1:s.at], &text); err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
	} else {
		for _, c := range raw {
			if c < ' ' {
				return "", fmt.Errorf("%s, %s, has a control character", what, quote(string(raw)))
			}
		}
		text = string(raw)
	}
	if len(text) > most {
		return "", fmt.Errorf("%s has more than %d bytes", what, most)
	}
	return text, nil
}

// numbers reads a list of at most so many whole numbers.
func (s *scanner) numbers(what string, most int) ([]int64, error) {
	if !s.take('[') {
		return nil, s.want("a list")
	}
	list := make([]int64, 0, 2)
	for !s.take(']') {
		if len(list) > 0 && !s.take(',') {
			return nil, s.want("a comma or the end of the list")
		}
		if len(list) == most {
			return nil, fmt.Errorf("more than %d %s", most, what)
		}
		n, err := s.number()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func (s *scanner) number() (int64, error) {
	s.peek()
	to := s.at
	for to < len(s.b) && to-s.at < 21 && (s.b[to] == '-' || s.b[to] >= '0' && s.b[to] <= '9') {
		to++
	}
	digits := s.b[s.at:to]
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	n, err := strconv.ParseInt(string(s.b[s.at:to]), 10, 64)
	ends := to == len(s.b) || s.b[to] != '.' && s.b[to] != 'e' && s.b[to] != 'E'
	if err != nil || !ends || len(digits) > 1 && digits[0] == '0' {
		return 0, s.want("a whole number below 2^63")
	}
	s.at = to
	return n, nil
}

// skip steps over a value of any kind that nests no deeper than so many levels.
func (s *scanner) skip(levels int) error {
	d := json.NewDecoder(bytes.NewReader(s.b[s.at:]))
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > levels {
			return fmt.Errorf("values nest deeper than %d levels", levels)
		}
		if depth == 0 {
			s.at += int(d.InputOffset())
			return nil
		}
	}
}

// quote is a text from a file as an error may show it.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
