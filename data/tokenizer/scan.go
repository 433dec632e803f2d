package tokenizer

import "unicode/utf8"

// scanner matches the patterns of GPT-2 and of its successors, which match every character of a text.
type scanner struct {
	table  *[classTable]uint8
	digits int // how many digits stand together; 0 = the pattern of GPT-2
}

func newScanner(digits int) scanner { return scanner{classes(), digits} }

func (p scanner) cut(dst []piece, s string) ([]piece, error) {
	for i := 0; i < len(s); {
		var end int
		if p.digits == 0 {
			end = p.gpt2(s, i)
		} else {
			end = p.cl100k(s, i)
		}
		dst = append(dst, piece{int32(i), int32(end), true})
		i = end
	}
	return dst, nil
}

// class is the class of the character at i and its length; at the end of the text it is that of a blank.
func (p scanner) class(s string, i int) (bits uint8, size int) {
	if i >= len(s) {
		return space, 0
	}
	if c := s[i]; c < utf8.RuneSelf {
		return p.table[c], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	return classIn(p.table, r), n
}

// run is the end of the characters from i on whose classes within mask are want; at most limit, if that is above 0.
func (p scanner) run(s string, i int, mask, want uint8, limit int) int {
	for n := 1; i < len(s); n++ {
		bits, size := p.class(s, i)
		if bits&mask != want {
			break
		}
		i += size
		if n == limit {
			break
		}
	}
	return i
}

// gpt2 is the end of the match at i of gpt2Pattern.
func (p scanner) gpt2(s string, i int) int {
	if s[i] == '\'' {
		if n := contraction(s[i+1:], false); n > 0 {
			return i + 1 + n
		}
	}
	j := i
	if s[i] == ' ' {
		j++
	}
	bits, _ := p.class(s, j)
	switch {
	case bits&letter != 0:
		return p.run(s, j, letter, letter, 0)
	case bits&number != 0:
		return p.run(s, j, number, number, 0)
	case bits&space == 0:
		return p.run(s, j, letter|number|space, 0, 0)
	}
	return p.blanks(s, i)
}

// cl100k is the end of the match at i of cl100kPattern.
func (p scanner) cl100k(s string, i int) int {
	if s[i] == '\'' {
		if n := contraction(s[i+1:], true); n > 0 {
			return i + 1 + n
		}
	}
	bits, size := p.class(s, i)
	if bits&letter != 0 {
		return p.run(s, i, letter, letter, 0)
	}
	if bits&number != 0 {
		return p.run(s, i, number, number, p.digits)
	}
	if s[i] != '\r' && s[i] != '\n' {
		if after, _ := p.class(s, i+size); after&letter != 0 {
			return p.run(s, i+size, letter, letter, 0)
		}
	}
	j := i
	if s[i] == ' ' {
		j++
		bits, _ = p.class(s, j)
	}
	if bits&(letter|number|space) == 0 {
		j = p.run(s, j, letter|number|space, 0, 0)
		for j < len(s) && (s[j] == '\r' || s[j] == '\n') {
			j++
		}
		return j
	}
	newline := 0
	for j = i; j < len(s); {
		bits, size := p.class(s, j)
		if bits&space == 0 {
			break
		}
		j += size
		if s[j-1] == '\r' || s[j-1] == '\n' {
			newline = j
		}
	}
	if newline > 0 {
		return newline
	}
	return p.blanks(s, i)
}

// blanks is the end of the match at i, a blank, of \s+(?!\S)|\s+: all blanks at the end of the text, else all but the
// last, which belongs to the word behind it.
func (p scanner) blanks(s string, i int) int {
	last, end := i, i
	for end < len(s) {
		bits, size := p.class(s, end)
		if bits&space == 0 {
			break
		}
		last, end = end, end+size
	}
	if end < len(s) && last > i {
		return last
	}
	return end
}

// contraction is the length of s, t, re, ve, m, ll or d at the beginning of s; fold takes any case.
func contraction(s string, fold bool) int {
	var a, b byte
	if len(s) > 0 {
		a = s[0]
	}
	if len(s) > 1 {
		b = s[1]
	}
	if fold {
		if len(s) > 1 && s[:2] == "ſ" { // folds to s
			return 2
		}
		a, b = lower(a), lower(b)
	}
	switch {
	case a == 's' || a == 't' || a == 'm' || a == 'd':
		return 1
	case a == 'r' && b == 'e' || a == 'v' && b == 'e' || a == 'l' && b == 'l':
		return 2
	}
	return 0
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
