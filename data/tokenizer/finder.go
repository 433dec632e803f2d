package tokenizer

import "strings"

// Finder finds given strings in a text in one pass: the leftmost, and there the longest.
type Finder struct {
	contents *trie
	first    [256]bool // bytes with which one begins
	only     int       // the byte with which all begin, -1 if there are several or none
}

// NewFinder makes a Finder of strings; empty ones are never found. A text costs time by its length times that of the
// longest string, in practice by its length alone.
func NewFinder(contents []string) *Finder {
	values := make([]int32, len(contents))
	for i := range values {
		values[i] = int32(i)
	}
	f := &Finder{contents: newTrie(contents, values), only: -1}
	n := 0
	for b, node := range f.contents.top {
		if node >= 0 {
			f.first[b] = true
			f.only = b
			n++
		}
	}
	if n > 1 {
		f.only = -1
	}
	return f
}

// Find appends the ranges of text where a string stands to dst, in order; they do not overlap.
func (f *Finder) Find(dst []Span, text string) []Span {
	if f.empty() {
		return dst
	}
	for i := 0; ; {
		if i = f.nextStart(text, i, len(text)); i == len(text) {
			return dst
		}
		_, n := f.contents.longest(text[i:])
		if n == 0 {
			i++
			continue
		}
		dst = append(dst, Span{i, i + n})
		i += n
	}
}

func (f *Finder) empty() bool { return len(f.contents.label) == 1 }

// nextStart is the first place from i on, before end, where a string may begin; end if there is none.
func (f *Finder) nextStart(s string, i, end int) int {
	if f.only >= 0 {
		if at := strings.IndexByte(s[i:end], byte(f.only)); at >= 0 {
			return i + at
		}
		return end
	}
	for ; i < end; i++ {
		if f.first[s[i]] {
			return i
		}
	}
	return end
}
