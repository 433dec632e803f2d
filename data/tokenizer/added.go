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
	nodes []trieNode // nodes[0] is the root
	first [256]bool  // bytes with which a token begins
	only  int        // the byte with which all begin, -1 if there are several
}

type trieNode struct {
	next  []trieEdge
	token *addedToken // nil = no token ends here
	id    int32
}

type trieEdge struct {
	b  byte
	to int32
}

// hit is an added token found at s[lo:hi], the blanks that it takes with it included.
type hit struct {
	id     int32
	lo, hi int
}

func newAddedIn() *addedIn { return &addedIn{nodes: make([]trieNode, 1), only: -1} }

func (a *addedIn) add(content string, id int32, t *addedToken) {
	if content == "" {
		return
	}
	if len(a.nodes) == 1 {
		a.only = int(content[0])
	} else if a.only != int(content[0]) {
		a.only = -1
	}
	a.first[content[0]] = true
	at := int32(0)
	for i := range len(content) {
		to := a.nodes[at].step(content[i])
		if to < 0 {
			to = int32(len(a.nodes))
			a.nodes = append(a.nodes, trieNode{})
			a.nodes[at].next = append(a.nodes[at].next, trieEdge{content[i], to})
		}
		at = to
	}
	if n := &a.nodes[at]; n.token == nil {
		n.token, n.id = t, id
	}
}

func (n *trieNode) step(b byte) int32 {
	for _, e := range n.next {
		if e.b == b {
			return e.to
		}
	}
	return -1
}

// longest is the longest token that s begins with.
func (a *addedIn) longest(s string) (node *trieNode, length int) {
	at := int32(0)
	for i := range len(s) {
		at = a.nodes[at].step(s[i])
		if at < 0 {
			break
		}
		if a.nodes[at].token != nil {
			node, length = &a.nodes[at], i+1
		}
	}
	return node, length
}

// nextStart is the first place from i on, before end, where a token may begin; end if there is none.
func (a *addedIn) nextStart(s string, i, end int) int {
	if a.only >= 0 {
		if at := strings.IndexByte(s[i:end], byte(a.only)); at >= 0 {
			return i + at
		}
		return end
	}
	for ; i < end; i++ {
		if a.first[s[i]] {
			return i
		}
	}
	return end
}

// find appends the tokens in s to dst. No token overlaps a range of literal, which is sorted.
func (a *addedIn) find(dst []hit, s string, literal []Span) []hit {
	if len(a.nodes) == 1 {
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
		n, length := a.longest(s[i:end])
		if n == nil {
			i++
			continue
		}
		lo, hi := i, i+length
		i = hi
		if n.token.SingleWord && (endsWithWord(s[:lo]) || startsWithWord(s[hi:])) {
			continue
		}
		if n.token.LStrip {
			lo = len(strings.TrimRightFunc(s[:lo], unicode.IsSpace))
			lo = max(lo, taken, floor)
		}
		if n.token.RStrip {
			hi = end - len(strings.TrimLeftFunc(s[hi:end], unicode.IsSpace))
		}
		dst = append(dst, hit{n.id, lo, hi})
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
