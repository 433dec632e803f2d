package tokenizer

import "strings"

// span32 is a Span in half the memory: texts are shorter than 2 GiB.
type span32 struct{ lo, hi int32 }

// aligned is a text after some changes, with the bytes of the original text that each of its bytes stands for. Spans
// never run backwards, so that the span of a range is made of its first and last byte.
type aligned struct {
	s    string
	at   []span32 // one a byte of s; nil = nothing has changed: byte i is byte base+i of the original
	base int32    // where s begins in the original
	mem  *arena   // where at of the next text is made; nil = anew
}

// arena is memory for the spans of the texts of one section, which it takes back all at once.
type arena struct {
	spans []span32
	used  int
}

const arenaMax = 1 << 18 // spans that an arena keeps: those of longer texts are made anew

// take is an empty slice that has room for n spans.
func (m *arena) take(n int) []span32 {
	if m == nil || n > arenaMax {
		return make([]span32, 0, n)
	}
	if m.used+n > len(m.spans) {
		m.spans, m.used = make([]span32, min(max(2*len(m.spans), n, 1<<10), arenaMax)), 0 // what was taken stays where it is
	}
	m.used += n
	return m.spans[m.used-n : m.used-n : m.used]
}

// span is the range of the original text that s[lo:hi], not empty, stands for.
func (a *aligned) span(lo, hi int32) Span {
	if a.at == nil {
		return Span{int(a.base + lo), int(a.base + hi)}
	}
	return Span{int(a.at[lo].lo), int(a.at[hi-1].hi)}
}

// start is the place in the original text of byte lo of s.
func (a *aligned) start(lo int) int32 {
	switch {
	case a.at == nil:
		return a.base + int32(lo)
	case lo < len(a.at):
		return a.at[lo].lo
	case len(a.at) > 0:
		return a.at[len(a.at)-1].hi
	}
	return a.base
}

// end is the end in the original text of what comes before byte hi of s.
func (a *aligned) end(hi int) int32 {
	switch {
	case a.at == nil:
		return a.base + int32(hi)
	case hi > 0:
		return a.at[hi-1].hi
	}
	return a.start(0)
}

// rewriter builds the next aligned text from the one before.
type rewriter struct {
	from aligned
	buf  strings.Builder
	at   []span32
}

func rewrite(from aligned, extra int) *rewriter {
	n := max(len(from.s)+extra, 0)
	r := &rewriter{from: from, at: from.mem.take(n)}
	r.buf.Grow(n)
	return r
}

// keep copies s[lo:hi] as it is.
func (r *rewriter) keep(lo, hi int) {
	r.buf.WriteString(r.from.s[lo:hi])
	if r.from.at != nil {
		r.at = append(r.at, r.from.at[lo:hi]...)
		return
	}
	for i := r.from.base + int32(lo); i < r.from.base+int32(hi); i++ {
		r.at = append(r.at, span32{i, i + 1})
	}
}

// put writes content in the place of s[lo:hi], which may be empty.
func (r *rewriter) put(content string, lo, hi int) {
	at := span32{r.from.start(lo), r.from.start(lo)}
	if hi > lo {
		at.hi = r.from.end(hi)
	} else if n := len(r.at); n > 0 {
		at.hi = max(at.hi, r.at[n-1].hi) // between two parts of what one character became
	}
	r.putAt(content, at)
}

func (r *rewriter) putAt(content string, at span32) {
	r.buf.WriteString(content)
	for range len(content) {
		r.at = append(r.at, at)
	}
}

func (r *rewriter) done() aligned {
	return aligned{s: r.buf.String(), at: r.at, base: r.from.base, mem: r.from.mem}
}
