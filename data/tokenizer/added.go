package tokenizer

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAdded is the longest added token that is read, in bytes: it bounds the time spent at each byte of a text.
const maxAdded = 4096

// addedToken is an entry of "added_tokens".
type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// addedIn finds added tokens in a text, the leftmost and there the longest.
type addedIn struct {
	Finder
	tokens []*addedToken // by the value that Finder has for them
	ids    []int32
}

// addedList gathers what an addedIn finds; of equal contents the first counts.
type addedList struct {
	contents []string
	tokens   []*addedToken
	ids      []int32
	seen     map[string]bool
}

func (l *addedList) add(content string, id int32, t *addedToken) {
	if l.seen == nil {
		l.seen = make(map[string]bool)
	}
	if !l.seen[content] {
		l.seen[content] = true
		l.contents, l.tokens, l.ids = append(l.contents, content), append(l.tokens, t), append(l.ids, id)
	}
}

func (l *addedList) finder() *addedIn {
	return &addedIn{*NewFinder(l.contents), l.tokens, l.ids}
}

// hit is an added token found at s[lo:hi], the blanks that it takes with it included.
type hit struct {
	id     int32
	lo, hi int
}

// find appends the tokens in s to dst. No token overlaps a range of literal, which is sorted.
func (a *addedIn) find(dst []hit, s string, literal []Span) []hit {
	if a.empty() {
		return dst
	}
	taken := 0 // s[:taken] belongs to tokens before
	floor := 0 // the end of the literal range before
	for i := 0; i < len(s); {
		if len(literal) > 0 && i >= literal[0].Start {
			floor = max(floor, literal[0].End)
			i = max(i, literal[0].End)
			literal = literal[1:]
			continue
		}
		end := len(s)
		if len(literal) > 0 {
			end = literal[0].Start
		}
		i = a.nextStart(s, i, end)
		if i == end {
			continue
		}
		which, length := a.contents.longest(s[i:end])
		if length == 0 {
			i++
			continue
		}
		token := a.tokens[which]
		lo, hi := i, i+length
		i = hi
		if token.SingleWord && (endsWithWord(s[:lo]) || startsWithWord(s[hi:])) {
			continue
		}
		if token.LStrip {
			lo = len(strings.TrimRightFunc(s[:lo], unicode.IsSpace))
			lo = max(lo, taken, floor)
		}
		if token.RStrip {
			hi = end - len(strings.TrimLeftFunc(s[hi:end], unicode.IsSpace))
		}
		dst = append(dst, hit{a.ids[which], lo, hi})
		taken = hi
	}
	return dst
}

func endsWithWord(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && classIn(classes(), r)&word != 0
}

func startsWithWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && classIn(classes(), r)&word != 0
}

// literalIn turns ranges of the original text into ranges of a, which stands for a part of it.
func literalIn(dst []Span, a *aligned, literal []Span) []Span {
	from, to := int(a.start(0)), int(a.end(len(a.s)))
	literal = literal[sort.Search(len(literal), func(i int) bool { return literal[i].End > from }):]
	if a.at == nil {
		for _, l := range literal {
			if l.Start >= to {
				break
			}
			dst = append(dst, Span{max(l.Start, from) - from, min(l.End, to) - from})
		}
		return dst
	}
	for i, at := range a.at {
		for len(literal) > 0 && literal[0].End <= int(at.lo) {
			literal = literal[1:]
		}
		if len(literal) == 0 {
			break
		}
		if literal[0].Start < int(at.hi) {
			if n := len(dst); n > 0 && dst[n-1].End == i {
				dst[n-1].End = i + 1
			} else {
				dst = append(dst, Span{i, i + 1})
			}
		}
	}
	return dst
}
