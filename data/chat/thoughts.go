package chat

import (
	"strings"

	"attune/data"
	"attune/data/jinja"
)

// thoughtMarks are the strings that published templates put around a turn's thoughts. Others are found by trying, but a
// template that knows no thoughts of the row may still write an empty one.
var thoughtMarks = []struct{ open, end string }{
	{"<think>", "</think>"},
	{"<thinking>", "</thinking>"},
	{"<thought>", "</thought>"},
	{"<reasoning>", "</reasoning>"},
	{"[THINK]", "[/THINK]"},
	{"<seed:think>", "</seed:think>"},
	{"\u25c1think\u25b7", "\u25c1/think\u25b7"},
	{"<|channel>thought", "<channel|>"},
	{"<|START_THINKING|>", "<|END_THINKING|>"},
	{"<|thought_start|>", "<|thought_end|>"},
	{"<|inner_prefix|>", "<|inner_suffix|>"},
}

// blanks may stand within and behind an empty thought.
const blanks = " \t\r\n"

// emptyThought finds the empty thought that the template itself writes before the words of turn i, with the white space
// behind it: the model is not to learn that it thinks nothing.
func (c *conversation) emptyThought(i int, r jinja.Result, p place) (Span, bool) {
	if p.field == fieldReasoning {
		return Span{}, false
	}
	if s, ok := markedEmpty(r.Text[:p.first], p.before); ok {
		return s, true
	}
	return c.triedEmpty(i, r, p)
}

// markedEmpty finds the last empty thought of s in published marks from a byte on.
func markedEmpty(s string, from int) (Span, bool) {
	var found Span
	for _, m := range thoughtMarks {
		for at := from; ; {
			k := strings.Index(s[at:], m.open)
			if k < 0 {
				break
			}
			start := at + k
			at = start + len(m.open)
			rest, ok := strings.CutPrefix(strings.TrimLeft(s[at:], blanks), m.end)
			if ok && start >= found.Start {
				found = Span{Start: start, End: len(s) - len(strings.TrimLeft(rest, blanks))}
			}
		}
	}
	return found, found.End > 0
}

// triedEmpty gives turn i a thought to see how the template writes one, and looks for the same with nothing in it.
func (c *conversation) triedEmpty(i int, r jinja.Result, p place) (Span, bool) {
	if c.thoughtless {
		return Span{}, false
	}
	t, err := c.with(i, data.Message{Role: c.conv.Messages[i].Role, Content: "y", ReasoningContent: "x"})
	if err != nil {
		return Span{}, false
	}
	thought, answer := -1, -1
	end := 0 // of the thought
	for _, s := range t.Spans {
		switch {
		case s.Message != i:
		case s.Field == fieldReasoning && thought < 0:
			thought, end = s.Start, s.End
		case s.Field == fieldContent && thought >= 0 && answer < 0:
			answer = s.Start
		}
	}
	c.thoughtless = thought < 0
	if answer < 0 {
		return Span{}, false
	}
	closing := strings.Trim(t.Text[end:answer], blanks)
	opened := len(strings.TrimRight(t.Text[:thought], blanks))
	if closing == "" || opened < p.before || opened > p.first || t.Text[:opened] != r.Text[:opened] {
		return Span{}, false
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(r.Text[opened:p.first], blanks), closing)
	if !ok {
		return Span{}, false
	}
	start := opened
	if at, ok := c.prompt(i, r, p); ok && at < opened {
		start = opened - len(strings.TrimLeft(r.Text[at:opened], blanks))
	}
	return Span{Start: start, End: p.first - len(strings.TrimLeft(rest, blanks))}, true
}
