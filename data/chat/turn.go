package chat

import (
	"fmt"
	"strings"

	"attune/data/jinja"
)

// place is where the words of a turn stand in a rendering.
type place struct {
	first, last int    // from the first byte of its content, thoughts and calls to the last; without any, the text's end and -1
	field, tail string // the fields of the first and the last of these words
	before      int    // the end of the last word of an earlier message
}

// find is the place of turn i in r, the conversation cut behind it.
func find(i int, r jinja.Result) place {
	p := place{first: len(r.Text), last: -1}
	for _, s := range r.Spans {
		switch {
		case s.Message == i && (s.Field == fieldContent || s.Field == fieldReasoning || s.Field == fieldCalls):
			if p.last < 0 {
				p.first, p.field = s.Start, s.Field
			}
			p.last, p.tail = s.End, s.Field
		case s.Message < i && s.Field != fieldRole && p.last < 0:
			p.before = s.End
		}
	}
	return p
}

// turn finds the bytes of r, the conversation cut behind turn i, that are learnt: from the first byte of the turn's own
// words to the end of the special token that ends it; or what the template marks with {% generation %}, less the empty
// thought it puts there itself.
func (c *conversation) turn(i int, r jinja.Result) ([]Span, error) {
	p := find(i, r)
	if p.last < 0 && strings.TrimSpace(c.conv.Messages[i].Content) != "" {
		return nil, fmt.Errorf("the template writes nothing of messages[%d], a turn that is to be trained; set \"train\": false on it, or set template to one that writes it", i)
	}
	if blocks := generated(r, p); blocks != nil {
		if from := max(blocks[0].Start, p.before); from < p.first && strings.TrimSpace(r.Text[from:p.first]) != "" {
			if empty, ok := c.emptyThought(i, r, p); ok {
				return subtract(blocks, []Span{empty}), nil
			}
		}
		return blocks, nil
	}
	start, err := c.start(i, r, p)
	if err != nil {
		return nil, err
	}
	from := max(start, p.last)
	end := c.end(i, r, from, p.tail)
	if end.End == 0 {
		return nil, fmt.Errorf("behind an assistant turn %s writes %q, in which the tokenizer has no special token, so the model would not learn to stop; set template to one made for this model",
			c.t.name, beginning(r.Text[from:]))
	}
	return []Span{{Start: start, End: end.End}}, nil
}

// beginning shortens a text for a message.
func beginning(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "..."
	}
	return s
}

// generated gives the {% generation %} blocks that hold the turn's words or, if it has none, the last block if it stands
// behind all earlier messages.
func generated(r jinja.Result, p place) []Span {
	var out []Span
	for k, g := range r.Generation {
		holds := g.Start < p.last && p.first < g.End
		if p.last < 0 {
			holds = k == len(r.Generation)-1 && g.Start >= p.before
		}
		if holds {
			out = append(out, Span{Start: g.Start, End: g.End})
		}
	}
	return out
}

// start is where turn i begins to be the model's own: at the first byte of its content. Where thoughts or tool calls
// come first, or nothing of the row does, it is where the template begins to write what it would not write before plain
// content: "<think>" and "[TOOL_CALLS]" are the model's to say.
func (c *conversation) start(i int, r jinja.Result, p place) (int, error) {
	from, _ := c.prompt(i, r, p)
	if p.field != fieldContent {
		header := -1
		if plain, err := c.plain(i); err == nil {
			header = len(plain.Text)
			for _, s := range plain.Spans {
				if s.Message == i && s.Field == fieldContent {
					header = s.Start
					break
				}
			}
			header = commonPrefix(plain.Text[:header], r.Text[:p.first])
		}
		if header >= p.before && (from < 0 || header < from) {
			from = header
		}
		if from < 0 && p.last < 0 {
			return 0, fmt.Errorf("messages[%d] is empty, and where its turn begins cannot be seen; set \"train\": false on it or remove the row", i)
		}
	}
	if from < 0 {
		return p.first, nil
	}
	if strings.TrimSpace(r.Text[from:p.first]) != "" {
		if empty, ok := c.emptyThought(i, r, p); ok {
			from = max(from, empty.End)
		}
	}
	if p.last >= 0 && strings.TrimSpace(r.Text[from:p.first]) == "" {
		return p.first, nil
	}
	return from, nil
}

// prompt is the end of the prompt in r that generation would get for turn i, where the turn stands behind it and the
// template opens an answer at all; -1 and false otherwise.
func (c *conversation) prompt(i int, r jinja.Result, p place) (int, bool) {
	g, err := c.render(i, true)
	if err != nil || len(g.Text) < p.before || !strings.HasPrefix(r.Text[:p.first], g.Text) {
		return -1, false
	}
	if n := len(g.Text) - len(c.opening); c.opening != "" && n >= p.before && g.Text[n:] == c.opening {
		return len(g.Text), true
	}
	unopened, err := c.render(i, false)
	if err != nil || unopened.Text == g.Text {
		return -1, false
	}
	if opening, ok := strings.CutPrefix(g.Text, unopened.Text); ok {
		c.opening = opening
	}
	return len(g.Text), true
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// special finds the first special token from a byte on that the template itself wrote; hi < 0 = none.
func (c *conversation) special(r jinja.Result, from int) (lo, hi int) {
	first := func(to int) bool {
		if to <= from {
			return false
		}
		c.hits = c.o.special.Find(c.hits[:0], r.Text[from:to])
		if len(c.hits) == 0 {
			return false
		}
		lo, hi = from+c.hits[0].Start, from+c.hits[0].End
		return true
	}
	for _, s := range r.Spans {
		if s.End <= from || s.Field == fieldRole {
			continue
		}
		if first(s.Start) {
			return lo, hi
		}
		from = s.End
	}
	if first(len(r.Text)) {
		return lo, hi
	}
	return len(r.Text), -1
}
