package source

import (
	"encoding/json"
	"fmt"

	"attune/data"
)

// conversations reads {conversations: [{from, value}]}, the ShareGPT form, as FastChat and LLaMA-Factory write it.
// Turns with role and content are read as those of messages. A function_call becomes an assistant turn with tool_calls,
// an observation the tool turn that answers the oldest call still open; calls are numbered call00001 (nine letters and
// digits, as Mistral's templates want them).
func (p *parser) conversations(row object) ([]data.Message, *RowError) {
	list, bad := p.turns(row, Conversations)
	if bad != nil {
		return nil, bad
	}
	var turns []data.Message
	var calls callNumbers
	for i, raw := range list {
		path := fmt.Sprintf("conversations[%d]", i)
		o := p.object(raw)
		var m data.Message
		var bad *RowError
		if !o.has("from") && o.has("role") {
			m, bad = p.message(o, path)
		} else {
			m, bad = p.turn(o, path, &calls)
		}
		if bad != nil {
			return nil, bad
		}
		turns = append(turns, m)
	}
	return p.withSystem(row, turns)
}

// callNumbers matches tool turns to calls.
type callNumbers struct {
	made     int
	answered int
}

func (c *callNumbers) call() string {
	c.made++
	return callID(c.made)
}

// answer is "" where no call is open.
func (c *callNumbers) answer() string {
	if c.answered == c.made {
		return ""
	}
	c.answered++
	return callID(c.answered)
}

func callID(n int) string { return fmt.Sprintf("call%05d", n) }

func (p *parser) turn(o object, path string, calls *callNumbers) (data.Message, *RowError) {
	var m data.Message
	from, bad := p.text(o, "from")
	if bad != nil {
		return m, within(path, bad)
	}
	value, ok := o.get("value")
	if !ok {
		return m, p.missing(path + ".value")
	}
	switch from {
	case "human", "user":
		m.Role = "user"
	case "gpt", "assistant":
		m.Role = "assistant"
	case "system":
		m.Role = "system"
	case "observation", "tool":
		m.Role = "tool"
		m.ToolCallID = calls.answer()
	case "function_call":
		m.Role = "assistant"
		if m.ToolCalls, bad = p.functionCall(value, path+".value", calls); bad != nil {
			return m, bad
		}
		return m, p.learning(o, path, &m)
	default:
		return m, p.bad(fmt.Sprintf("%s is from %q, which is not known", path, clip(from)),
			"use human, gpt, system, tool, function_call or observation, or remove the row")
	}
	if m.Content, bad = p.content(value, path+".value"); bad != nil {
		return m, bad
	}
	return m, p.learning(o, path, &m)
}

// functionCall reads {"name", "arguments"}, or a list of them, mostly inside a string.
func (p *parser) functionCall(raw []byte, path string, calls *callNumbers) (json.RawMessage, *RowError) {
	const cure = `write it as {"name": ..., "arguments": {...}}`
	if kind(raw) == "text" {
		if raw = []byte(text(raw)); !json.Valid(raw) {
			return nil, p.bad(fmt.Sprintf("%q is a function_call that is not JSON", path), cure)
		}
	}
	list := [][]byte{raw[skipSpace(raw, 0):]}
	if kind(raw) == "a list" {
		list = elements(raw)
	}
	if len(list) == 0 {
		return nil, p.bad(fmt.Sprintf("%q is a function_call without a call", path), cure)
	}
	out := []byte{'['}
	for i, call := range list {
		bad := p.bad(fmt.Sprintf("%q is a function_call that names no function", path), cure)
		if kind(call) != "an object" {
			return nil, bad
		}
		o := p.object(call)
		if name, ok := o.get("name"); !ok || kind(name) != "text" {
			return nil, bad
		}
		if i > 0 {
			out = append(out, ", "...)
		}
		end := valueEnd(call, 0)
		out = fmt.Appendf(out, `{"id": %q, "type": "function", "function": %s}`, calls.call(), call[:end])
	}
	return append(out, ']'), nil
}
