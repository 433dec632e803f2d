package chat

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"attune/data/jinja"
)

// checkWritten refuses what a template silently leaves out of a row: tool calls, the words of a system, user or tool
// message, the tools and the run file's system prompt. Many templates know nothing of tools, some nothing of system
// messages. What an earlier answer of the assistant loses is the template's business: many drop old thoughts.
func (c *conversation) checkWritten(r jinja.Result) error {
	n := len(c.conv.Messages)
	content, calls := make([]bool, n), make([]bool, n)
	tools, system := false, false
	for _, s := range r.Spans {
		switch {
		case s.Message == noMessage && s.Field == fieldTools:
			tools = true
		case s.Message == noMessage && s.Field == fieldSystem:
			system = true
		case s.Message < 0:
		case s.Field == fieldCalls:
			calls[s.Message] = true
		case s.Field == fieldContent && !content[s.Message]:
			content[s.Message] = strings.TrimSpace(r.Text[s.Start:s.End]) != ""
		}
	}
	for i, m := range c.conv.Messages {
		if m.Role == "assistant" {
			if hasCalls(m.ToolCalls) && !calls[i] {
				return fmt.Errorf("messages[%d] calls tools, but %s writes nothing of the calls; set template to one that knows tools, or remove the row", i, c.t.name)
			}
			continue
		}
		if !content[i] && strings.TrimSpace(m.Content) != "" {
			m.Content = ""
			changed := slices.Clone(c.messages)
			var err error
			if changed[c.lead+i], err = message(i, m, false); err != nil {
				return err
			}
			if c.same(r, changed) {
				return fmt.Errorf("messages[%d], of the role %s, is lost: %s writes nothing of it; remove the message, or set template to one that writes it", i, m.Role, c.t.name)
			}
		}
	}
	if c.lead > 0 && !system && strings.TrimSpace(c.o.System) != "" && c.same(r, c.messages[c.lead:]) {
		return fmt.Errorf("the system prompt is lost: %s writes nothing of it; remove system, or set template to one that writes it", c.t.name)
	}
	if given := c.vars[fieldTools]; !tools && hasCalls(c.conv.Tools) {
		c.vars[fieldTools] = nil
		same := c.same(r, c.messages)
		c.vars[fieldTools] = given
		if same {
			return fmt.Errorf("the row has tools, but %s writes nothing of them; remove them, or set template to one that knows tools", c.t.name)
		}
	}
	return nil
}

// hasCalls: a list of calls or tools that is not empty.
func hasCalls(raw []byte) bool { return len(raw) > 0 && string(raw) != "null" && string(raw) != "[]" }

// same: the template makes of these messages what it made of the row. If so, it does not even read what they lack: words
// of which nothing is written may still be a switch, as "/no_think" is.
func (c *conversation) same(r jinja.Result, messages []jinja.Value) bool {
	again, err := c.run(messages, c.o.AddGenerationPrompt)
	return err == nil && again.Text == r.Text
}

// checkThoughts refuses a trained turn whose thoughts the template leaves out of r, the conversation cut behind it, be they a
// field of the row or part of its content.
func (c *conversation) checkThoughts(i int, r jinja.Result) error {
	m := c.conv.Messages[i]
	inside := thoughtsIn(m.Content)
	own := strings.TrimSpace(m.ReasoningContent)
	if own == "" && inside == "" {
		return nil
	}
	var written strings.Builder
	reasoning := false
	for _, s := range r.Spans {
		if s.Message == i {
			reasoning = reasoning || s.Field == fieldReasoning
			written.WriteString(r.Text[s.Start:s.End])
		}
	}
	if own != "" && !reasoning {
		return fmt.Errorf("messages[%d] has thoughts (reasoning_content), but %s writes nothing of them; remove them, or set template to one that writes thoughts", i, c.t.name)
	}
	if inside != "" && !strings.Contains(written.String(), inside) {
		return fmt.Errorf("the content of messages[%d] begins with thoughts, but %s leaves them out; remove them, or set template to one that writes thoughts", i, c.t.name)
	}
	return nil
}

// thoughtsIn gives the thoughts in published marks that a content begins with, "" if there are none.
func thoughtsIn(content string) string {
	content = strings.TrimLeft(content, blanks)
	for _, m := range thoughtMarks {
		if rest, ok := strings.CutPrefix(content, m.open); ok {
			thoughts, _, _ := strings.Cut(rest, m.end)
			return strings.TrimSpace(thoughts)
		}
	}
	return ""
}

// checkOwn refuses a trained span that holds words of another message: only a {% generation %} block can.
func (c *conversation) checkOwn(i int, r jinja.Result, spans []Span) error {
	for _, span := range spans {
		if s, ok := foreign(r.Spans, i, span); ok {
			whose := fmt.Sprintf("messages[%d]", s.Message)
			if s.Message == noMessage {
				whose = "the " + s.Field
			}
			return fmt.Errorf("what %s marks as the answer of messages[%d] holds words of %s, which are not to be trained; mend its {%% generation %%} blocks, or set template to another", c.t.name, i, whose)
		}
	}
	return nil
}

// foreign finds words in a range of a rendering that are not those of a message. Its roles do not count: templates build
// markers from them.
func foreign(origins []jinja.Span, message int, in Span) (jinja.Span, bool) {
	k, _ := slices.BinarySearchFunc(origins, in.Start+1, func(s jinja.Span, at int) int { return s.End - at })
	for ; k < len(origins) && origins[k].Start < in.End; k++ {
		if s := origins[k]; s.Message != message && s.Field != fieldRole {
			return s, true
		}
	}
	return jinja.Span{}, false
}

// unserved says how turn i begins where generation would begin it otherwise: then the model never sees, once served, what
// it learns here. Where the template opens no answer behind these messages, nothing can be said.
func (c *conversation) unserved(i int, r jinja.Result) (Opening, bool) {
	g, err := c.render(i, true)
	if err != nil || strings.HasPrefix(r.Text, g.Text) {
		return Opening{}, false
	}
	at := commonPrefix(g.Text, r.Text)
	return Opening{Message: i, Served: around(g.Text, at), Trained: around(r.Text, at)}, true
}

// around is a text from 16 characters before byte at to 24 behind it.
func around(s string, at int) string {
	for at > 0 && at < len(s) && !utf8.RuneStart(s[at]) {
		at--
	}
	lo, hi := at, at
	for n := 0; n < 16 && lo > 0; n++ {
		_, size := utf8.DecodeLastRuneInString(s[:lo])
		lo -= size
	}
	for n := 0; n < 24 && hi < len(s); n++ {
		_, size := utf8.DecodeRuneInString(s[hi:])
		hi += size
	}
	return s[lo:hi]
}
