package show

import (
	"slices"
	"strings"

	"attune/data/chat"
	"attune/data/jinja"
)

// written are the runs of plain text that the template writes around the words of messages, such as "<|user|>" where that is
// no token of the tokenizer: each up to a special token, a line end or words. A role that stands in such a run is part of it,
// one between special tokens is not. What stands between two words of one message is the message's, and so is the JSON that a
// tool or its call is written as.
func (e *Example) written() []chat.Span {
	var out []chat.Span
	var roles []jinja.Span
	last := jinja.Span{Origin: jinja.Origin{Message: nobody}}
	gap := func(next jinja.Span) {
		for _, run := range e.runs(chat.Span{Start: last.End, End: next.Start}, roles) {
			if (run.Start > last.End || !inJSON(last)) && (run.End < next.Start || !inJSON(next)) {
				out = append(out, run)
			}
		}
	}
	for _, s := range e.Origins {
		switch {
		case s.Start == s.End:
		case s.Message >= 0 && s.Field == "role":
			roles = append(roles, s)
		default:
			if last.Message != s.Message || s.Message < 0 && last.Field != s.Field {
				gap(s)
			}
			last, roles = s, roles[:0]
		}
	}
	gap(jinja.Span{Start: len(e.Text), End: len(e.Text)})
	return out
}

// inJSON: the words are parts of something that is written as JSON.
func inJSON(s jinja.Span) bool { return s.Field == "tool_calls" || s.Field == "tools" }

// runs are those of one gap between words.
func (e *Example) runs(gap chat.Span, roles []jinja.Span) (out []chat.Span) {
	k, _ := slices.BinarySearchFunc(e.Tokens, gap.Start, func(t Token, at int) int { return t.Span.Start - at })
	for at := gap.Start; at < gap.End; {
		for k < len(e.Tokens) && (!e.Tokens[k].Special || e.Tokens[k].Span.End <= at) {
			k++
		}
		end, next := gap.End, gap.End
		if k < len(e.Tokens) && e.Tokens[k].Span.Start < gap.End {
			end, next = max(at, e.Tokens[k].Span.Start), e.Tokens[k].Span.End
		}
		for line := range strings.Lines(e.Text[at:end]) {
			run := chat.Span{Start: at, End: at + len(line)}
			if at = run.End; e.plain(run, roles) {
				out = append(out, run)
			}
		}
		at = next
	}
	return out
}

// plain: there is more in a run than blanks and roles.
func (e *Example) plain(run chat.Span, roles []jinja.Span) bool {
	at := run.Start
	for _, r := range roles {
		if r.End <= at || r.Start >= run.End {
			continue
		}
		if strings.TrimSpace(e.Text[at:max(at, r.Start)]) != "" {
			return true
		}
		at = min(r.End, run.End)
	}
	return strings.TrimSpace(e.Text[at:run.End]) != ""
}
