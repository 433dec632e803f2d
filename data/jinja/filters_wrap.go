package jinja

import (
	"strings"
	"unicode/utf8"
)

// wordwrap breaks lines at white space so that none is longer than width characters; words longer than that are broken
// where break_long_words says so.
func wordwrap(r *run, s *Str, a bound) (Value, error) {
	width, err := a.int(0, 79)
	if err != nil {
		return nil, err
	}
	if width <= 0 {
		return nil, fault("wordwrap: invalid width %d (must be > 0)", width)
	}
	newline, err := a.optional(2)
	if err != nil {
		return nil, err
	}
	if newline == nil {
		newline = plain("\n")
	}
	breakLong := truth(a.or(1, true))
	if err := r.spend(len(s.s)*(2+len(newline.s)) + 64); err != nil {
		return nil, err
	}
	var out []*Str
	all := lines(s)
	if err := r.spend(48 * len(all)); err != nil {
		return nil, err
	}
	for i, line := range all {
		if line = line.strip(plain("\n"), false, true); line.s == "" && i > 0 && i == len(all)-1 {
			continue // nothing behind the last newline
		}
		out = append(out, wrapLine(line, int(width), breakLong)...)
	}
	return r.join(newline, out)
}

func wrapLine(line *Str, width int, breakLong bool) []*Str {
	var out []*Str
	start, end, used := 0, 0, 0 // the current row is bytes [start, end) of used characters
	for end < len(line.s) {
		gap := len(line.s[end:]) - len(strings.TrimLeftFunc(line.s[end:], isSpace))
		if end == start && len(out) > 0 { // a later row begins with no white space
			start, end, gap = start+gap, end+gap, 0
		}
		word := strings.IndexFunc(line.s[end+gap:], isSpace)
		if word < 0 {
			word = len(line.s) - end - gap
		}
		if word == 0 {
			break
		}
		blanks, n := utf8.RuneCountInString(line.s[end:end+gap]), utf8.RuneCountInString(line.s[end+gap:end+gap+word])
		if used+blanks+n <= width {
			used += blanks + n
			end += gap + word
			continue
		}
		if end > start {
			out = append(out, line.sub(start, end))
			start = end + gap
		}
		end, used = start, 0
		if start == end && gap > 0 && len(out) == 0 {
			start, end = gap, gap
		}
		if n <= width {
			continue
		}
		if !breakLong {
			out = append(out, line.sub(start, start+word))
			start += word
		}
		for ; breakLong && n > width; n -= width {
			k := runeOffset(line.s[start:], width)
			out = append(out, line.sub(start, start+k))
			start += k
		}
		end = start
	}
	if end > start {
		out = append(out, line.sub(start, end))
	}
	if len(out) == 0 {
		out = append(out, plain(""))
	}
	return out
}
