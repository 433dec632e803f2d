package chat

import (
	"encoding/json"
	"slices"

	"attune/data"
	"attune/data/jinja"
)

// end is the special token that ends turn i; a zero Span = there is none. It is the first behind the turn's words at which
// generation stops, if the turn has one of its own there; the template may close brackets and answers by tokens of their
// own first. Where it has none (the template is of another model, or one's own), it is the first special token; behind
// tool calls, the one that also ends a plain answer.
func (c *conversation) end(i int, r jinja.Result, from int, tail string) Span {
	var all []Span
	for at := from; ; {
		lo, hi := c.special(r, at)
		if hi < 0 {
			break
		}
		all = append(all, Span{Start: lo, End: hi})
		at = hi
	}
	if len(all) == 0 {
		return Span{}
	}
	is := func(stops ...string) int {
		return slices.IndexFunc(all, func(s Span) bool { return slices.Contains(stops, r.Text[s.Start:s.End]) })
	}
	if k := is(c.stops...); k == 0 || k > 0 && all[k].End <= c.settled(i, r, from) {
		return all[k]
	}
	if tail == fieldCalls {
		if k := is(c.plainEnd(i)); k >= 0 && (adjoin(all[:k+1]) || all[k].End <= c.settled(i, r, from)) {
			return all[k]
		}
	}
	return all[0]
}

// adjoin: nothing stands between these ranges.
func adjoin(spans []Span) bool {
	for k := 1; k < len(spans); k++ {
		if spans[k].Start != spans[k-1].End {
			return false
		}
	}
	return true
}

// plainEnd is the first special token behind turn i, had it nothing but a short content.
func (c *conversation) plainEnd(i int) string {
	r, err := c.plain(i)
	if err != nil {
		return ""
	}
	for _, s := range r.Spans {
		if s.Message == i && s.Field == fieldContent {
			if lo, hi := c.special(r, s.End); hi >= 0 {
				return r.Text[lo:hi]
			}
		}
	}
	return ""
}

// settled is how far what stands behind the words of turn i, from byte from on, stays the same once another message
// follows: what differs is not the turn's own.
func (c *conversation) settled(i int, r jinja.Result, from int) int {
	next, err := c.followed(i)
	if err != nil {
		return from
	}
	at := find(i, next).last
	if at < 0 {
		at = from // a turn without words stands where it stood
	}
	if at > len(next.Text) {
		return from
	}
	return from + commonPrefix(r.Text[from:], next.Text[at:])
}

// followed renders the conversation up to the message behind turn i, where there is none one is put there, and an answer's
// opening behind it: some templates end a conversation, but not a prompt, by a token.
func (c *conversation) followed(i int) (jinja.Result, error) {
	if i+1 < len(c.conv.Messages) {
		return c.run(c.messages[:c.lead+i+2], true)
	}
	m := data.Message{Role: "user", Content: "x"}
	if calls := c.conv.Messages[i].ToolCalls; hasCalls(calls) {
		var of []struct {
			ID, Name string
			Function struct{ Name string }
		}
		m.Role = "tool"
		if json.Unmarshal(calls, &of) == nil && len(of) > 0 {
			m.ToolCallID, m.Name = of[0].ID, of[0].Name+of[0].Function.Name
		}
	}
	d, err := message(i+1, m, false)
	if err != nil {
		return jinja.Result{}, err
	}
	return c.run(append(slices.Clone(c.messages[:c.lead+i+1]), d), true)
}
