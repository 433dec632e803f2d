package chat

import (
	"fmt"
	"strings"

	"attune/data"
	"attune/data/jinja"
)

// Render writes the whole conversation as the template does. Trained are the turns that can be learnt from this text:
// all that o asks for, unless the template writes an earlier turn differently when it is the last (drops its thoughts,
// say); RenderAll then gives such a turn a rendering of its own.
func (t *Template) Render(conv data.Conversation, o RenderOptions) (Rendering, error) {
	all, err := t.RenderAll(conv, o)
	if err != nil {
		return Rendering{}, err
	}
	return all[0], nil
}

// RenderAll gives the whole conversation and, behind it, one rendering for each trained turn that the whole would teach
// wrongly: the conversation cut behind that turn. With AddGenerationPrompt there is one, and nothing in it is trained.
func (t *Template) RenderAll(conv data.Conversation, o RenderOptions) ([]Rendering, error) {
	rs, err := t.renderAll(conv, o, false)
	if err != nil && callsWithoutContent(conv) {
		if again, err := t.renderAll(conv, o, true); err == nil {
			return again, nil
		}
	}
	return rs, err
}

func callsWithoutContent(conv data.Conversation) bool {
	for _, m := range conv.Messages {
		if m.Content == "" && len(m.ToolCalls) > 0 {
			return true
		}
	}
	return false
}

func (t *Template) renderAll(conv data.Conversation, o RenderOptions, nullContent bool) ([]Rendering, error) {
	c, err := t.newConversation(conv, o, nullContent)
	if err != nil {
		return nil, err
	}
	n := len(conv.Messages)
	whole, err := c.render(n, o.AddGenerationPrompt)
	if err != nil {
		return nil, err
	}
	if err := c.checkCalls(whole); err != nil {
		return nil, err
	}
	out := []Rendering{{Text: whole.Text, Literal: words(whole)}}
	if o.AddGenerationPrompt {
		return out, nil
	}
	turns, err := trainedTurns(conv.Messages, o.TrainOn)
	if err != nil {
		return nil, err
	}
	for _, turn := range turns {
		cut := whole
		if turn.index+1 < n {
			if cut, err = c.render(turn.index+1, false); err != nil {
				return nil, fmt.Errorf("cut behind messages[%d], to see what the template writes for that turn: %w", turn.index, err)
			}
		}
		spans, err := c.turn(turn.index, cut)
		if err != nil {
			return nil, err
		}
		if len(spans) == 0 {
			continue
		}
		end := spans[len(spans)-1].End
		at := &out[0]
		if len(whole.Text) < end || whole.Text[:end] != cut.Text[:end] {
			out = append(out, Rendering{Text: cut.Text, Literal: words(cut)})
			at = &out[len(out)-1]
		}
		for _, s := range spans {
			at.Trained = append(at.Trained, TrainedSpan{Span: s, Message: turn.index, Weight: turn.weight})
		}
	}
	return out, nil
}

// checkCalls makes sure that the template writes the calls a turn makes: many templates know nothing of tools.
func (c *conversation) checkCalls(r jinja.Result) error {
	for i, m := range c.conv.Messages {
		if len(m.ToolCalls) == 0 || string(m.ToolCalls) == "null" || string(m.ToolCalls) == "[]" {
			continue
		}
		found := false
		for _, s := range r.Spans {
			found = found || s.Message == i && s.Field == fieldCalls
		}
		if !found {
			return fmt.Errorf("messages[%d] calls tools, but %s writes nothing of the calls; set template to one that knows tools, or remove the row", i, c.t.name)
		}
	}
	return nil
}

// learnt is an assistant turn to be trained.
type learnt struct {
	index  int
	weight float32
}

// trainedTurns picks the turns by train_on and by what the messages say themselves.
func trainedTurns(messages []data.Message, trainOn string) ([]learnt, error) {
	last := -1
	for i, m := range messages {
		if m.Role == "assistant" {
			last = i
		}
	}
	if trainOn != "" && trainOn != "all" && trainOn != "last" {
		return nil, fmt.Errorf("train_on is %q; set it to all or last", trainOn)
	}
	var out []learnt
	for i, m := range messages {
		train := m.Role == "assistant" && (trainOn != "last" || i == last)
		if m.Train != nil {
			train = *m.Train
		}
		weight := 1.0
		if m.Weight != nil {
			weight = *m.Weight
		}
		if !train || weight == 0 {
			continue
		}
		if m.Role != "assistant" {
			return nil, fmt.Errorf("messages[%d] says train, but its role is %s; only assistant turns can be trained", i, m.Role)
		}
		out = append(out, learnt{i, float32(weight)})
	}
	return out, nil
}

// turn finds the bytes of r, the conversation cut behind turn i, that are learnt: from the first byte of the turn's own
// words to the end of the special token that ends it; or what the template marks with {% generation %}.
func (c *conversation) turn(i int, r jinja.Result) ([]Span, error) {
	first, last, field, lastField := len(r.Text), -1, "", ""
	before := 0 // the end of the last word of an earlier message
	for _, s := range r.Spans {
		switch {
		case s.Message == i && (s.Field == fieldContent || s.Field == fieldReasoning || s.Field == fieldCalls):
			if last < 0 {
				first, field = s.Start, s.Field
			}
			last, lastField = s.End, s.Field
		case s.Message < i && s.Field != fieldRole && last < 0:
			before = s.End
		}
	}
	m := c.conv.Messages[i]
	if last < 0 && strings.TrimSpace(m.Content) != "" {
		return nil, fmt.Errorf("the template writes nothing of messages[%d], a turn that is to be trained; set \"train\": false on it, or set template to one that writes it", i)
	}
	if spans := generated(r, first, last, before); spans != nil {
		return spans, nil
	}
	start, err := c.start(i, r, first, field, before)
	if err != nil {
		return nil, err
	}
	end, ok := c.end(i, r, max(start, last), lastField)
	if !ok {
		return nil, fmt.Errorf("behind an assistant turn %s writes %q, in which the tokenizer has no special token, so the model would not learn to stop; set template to one made for this model",
			c.t.name, tail(r.Text[max(start, last):]))
	}
	return []Span{{Start: start, End: end}}, nil
}

// tail shortens a text for a message.
func tail(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "..."
	}
	return s
}

// generated gives the {% generation %} blocks that hold the turn's words or, if it has none, the last block if it stands
// behind all earlier messages.
func generated(r jinja.Result, first, last, before int) []Span {
	var out []Span
	for k, g := range r.Generation {
		holds := g.Start < last && first < g.End
		if last < 0 {
			holds = k == len(r.Generation)-1 && g.Start >= before
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
func (c *conversation) start(i int, r jinja.Result, first int, field string, before int) (int, error) {
	prompt := -1 // the end of the prompt that generation would get
	if g, err := c.render(i, true); err == nil && strings.HasPrefix(r.Text[:first], g.Text) && len(g.Text) >= before {
		if p, err := c.render(i, false); err == nil && p.Text != g.Text {
			prompt = len(g.Text)
		}
	}
	from := prompt
	if field != fieldContent {
		header := -1
		if p, err := c.plain(i); err == nil {
			header = len(p.Text)
			for _, s := range p.Spans {
				if s.Message == i && s.Field == fieldContent {
					header = s.Start
					break
				}
			}
			header = commonPrefix(p.Text[:header], r.Text[:first])
		}
		if header >= before && (from < 0 || header < from) {
			from = header
		}
		if from < 0 && first == len(r.Text) {
			return 0, fmt.Errorf("messages[%d] is empty, and where its turn begins cannot be seen; set \"train\": false on it or remove the row", i)
		}
	}
	if from < 0 {
		return first, nil
	}
	from += emptyThoughts(r.Text[from:first])
	if first < len(r.Text) && strings.TrimSpace(r.Text[from:first]) == "" {
		return first, nil
	}
	return from, nil
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// emptyThoughts is the length of an empty <think></think> at the beginning of s, with the white space around it.
func emptyThoughts(s string) int {
	rest, ok := strings.CutPrefix(strings.TrimLeft(s, " \n"), "<think>")
	if !ok {
		return 0
	}
	rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " \n"), "</think>")
	if !ok {
		return 0
	}
	return len(s) - len(strings.TrimLeft(rest, " \n"))
}

// end is the end of the first special token behind a turn's words. Behind tool calls the template may close brackets of
// its own first: there, of several special tokens in a row, the first that also ends a turn of plain content.
func (c *conversation) end(i int, r jinja.Result, from int, lastField string) (int, bool) {
	lo, hi := c.special(r, from)
	if hi < 0 || lastField != fieldCalls {
		return hi, hi >= 0
	}
	stop := ""
	if p, err := c.plain(i); err == nil {
		for _, s := range p.Spans {
			if s.Message == i && s.Field == fieldContent {
				if lo, hi := c.special(p, s.End); hi >= 0 {
					stop = p.Text[lo:hi]
				}
			}
		}
	}
	for a, b := lo, hi; ; {
		if r.Text[a:b] == stop {
			return b, true
		}
		next, end := c.special(r, b)
		if next != b {
			return hi, true
		}
		a, b = next, end
	}
}

// special finds the first special token from a byte on that the template itself wrote; hi < 0 = none.
func (c *conversation) special(r jinja.Result, from int) (lo, hi int) {
	lo, hi = len(r.Text), -1
	for _, t := range c.o.SpecialTokens {
		if t == "" {
			continue
		}
		for at := from; ; at++ {
			k := strings.Index(r.Text[at:], t)
			if k < 0 || at+k > lo {
				break
			}
			at += k
			if end := at + len(t); !quoted(r, at, end) {
				if at < lo || end > hi {
					lo, hi = at, end
				}
				break
			}
		}
	}
	return lo, hi
}

// quoted: some of these bytes are a row's own.
func quoted(r jinja.Result, lo, hi int) bool {
	for _, s := range r.Spans {
		if s.Start < hi && lo < s.End && s.Field != fieldRole {
			return true
		}
	}
	return false
}
