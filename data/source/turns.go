package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"attune/data"
)

// messages reads {messages: [{role, content, ...}]}.
func (p *parser) messages(row object) ([]data.Message, *RowError) {
	list, bad := p.turns(row, Messages)
	if bad != nil {
		return nil, bad
	}
	var turns []data.Message
	for i, raw := range list {
		m, bad := p.message(p.object(raw), fmt.Sprintf("messages[%d]", i))
		if bad != nil {
			return nil, bad
		}
		turns = append(turns, m)
	}
	return p.withSystem(row, turns)
}

// turns gives the objects in a row's list of turns.
func (p *parser) turns(row object, key string) ([][]byte, *RowError) {
	v, ok := row.get(key)
	if !ok {
		return nil, p.missing(key)
	}
	if k := kind(v); k != "a list" {
		return nil, p.bad(fmt.Sprintf("%q is %s, not a list of turns", key, k), "write it as a list or remove the row")
	}
	list := elements(v)
	for i, raw := range list {
		if k := kind(raw); k != "an object" {
			return nil, p.bad(fmt.Sprintf("%s[%d] is %s, not an object", key, i, k), "write each turn as an object")
		}
	}
	return list, nil
}

// message reads one turn in the OpenAI form; path names it in complaints.
func (p *parser) message(o object, path string) (data.Message, *RowError) {
	var m data.Message
	role, bad := p.text(o, "role")
	if bad != nil {
		return m, within(path, bad)
	}
	switch role {
	case "system", "user", "assistant", "tool":
		m.Role = role
	case "developer":
		return m, p.bad(fmt.Sprintf("%s has the role %q", path, role), `rename it to "system"`)
	case "function":
		return m, p.bad(fmt.Sprintf("%s has the role %q", path, role), `rename it to "tool"`)
	default:
		return m, p.bad(fmt.Sprintf("%s has the role %q, which is not known", path, clip(role)), "use system, user, assistant or tool, or remove the row")
	}
	for _, key := range []struct {
		name string
		to   *string
	}{{"reasoning_content", &m.ReasoningContent}, {"name", &m.Name}, {"tool_call_id", &m.ToolCallID}} {
		if *key.to, bad = p.optionalText(o, key.name); bad != nil {
			return m, within(path, bad)
		}
	}
	if m.ToolCalls, bad = p.toolCalls(o, path); bad != nil {
		return m, bad
	}
	content, ok := o.get("content")
	switch {
	case m.Role == "assistant" && m.ToolCalls != nil && (!ok || kind(content) == "null"):
	case !ok:
		return m, p.missing(path + ".content")
	default:
		if m.Content, bad = p.content(content, path+".content"); bad != nil {
			return m, bad
		}
	}
	return m, p.learning(o, path, &m)
}

// content reads text, or a list of parts of text, which are joined: {"type": "text", "text": ...}, with "value" for
// "text" as some write it.
func (p *parser) content(raw []byte, path string) (string, *RowError) {
	switch k := kind(raw); k {
	case "text":
		return text(raw), nil
	case "a list":
	default:
		return "", p.notText(path, k)
	}
	var b strings.Builder
	for i, part := range elements(raw) {
		at := fmt.Sprintf("%s[%d]", path, i)
		if kind(part) == "text" {
			b.WriteString(text(part))
			continue
		}
		if k := kind(part); k != "an object" {
			return "", p.bad(fmt.Sprintf("%s is %s, not a part of text", at, k), `write it as {"type": "text", "text": ...}`)
		}
		o := p.object(part)
		if t, bad := p.text(o, "type"); bad != nil {
			return "", within(at, bad)
		} else if t != "text" {
			return "", p.bad(fmt.Sprintf("%s is a part of type %q", at, clip(t)), "only text is read: remove the part or the row")
		}
		key := "text"
		if !o.has(key) && o.has("value") {
			key = "value"
		}
		s, bad := p.text(o, key)
		if bad != nil {
			return "", within(at, bad)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// toolCalls reads a list of calls, each {"function": {"name": ...}} or {"name": ...}; kept as the row has them.
func (p *parser) toolCalls(o object, path string) (json.RawMessage, *RowError) {
	path += ".tool_calls"
	v, ok := o.set("tool_calls")
	if !ok {
		return nil, nil
	}
	if k := kind(v); k != "a list" {
		return nil, p.bad(fmt.Sprintf("%q is %s, not a list of calls", path, k), "write it as a list")
	}
	calls := elements(v)
	for i, call := range calls {
		bad := p.bad(fmt.Sprintf("%s[%d] does not name a function", path, i), `write it as {"type": "function", "function": {"name": ..., "arguments": {...}}}`)
		if kind(call) != "an object" {
			return nil, bad
		}
		c := p.object(call)
		if f, ok := c.set("function"); ok && kind(f) == "an object" {
			c = p.object(f)
		}
		if name, ok := c.get("name"); !ok || kind(name) != "text" {
			return nil, bad
		}
	}
	if len(calls) == 0 {
		return nil, nil
	}
	return bytes.Clone(v), nil
}

// tools reads the row's tools: a list, or a string that holds one, as ShareGPT rows have it.
func (p *parser) tools(row object, schema string) (json.RawMessage, *RowError) {
	v, ok := row.set("tools")
	if !ok {
		return nil, nil
	}
	if kind(v) == "text" {
		inner := []byte(strings.TrimSpace(text(v)))
		if len(inner) == 0 {
			return nil, nil
		}
		if !json.Valid(inner) {
			return nil, p.bad(`"tools" is text that is not JSON`, "write the tools as a JSON list")
		}
		v = inner
	}
	if k := kind(v); k != "a list" {
		return nil, p.bad(fmt.Sprintf(`"tools" is %s, not a list`, k), "write the tools as a JSON list")
	}
	list := elements(v)
	if len(list) == 0 {
		return nil, nil
	}
	out := []byte{'['}
	for i, tool := range list {
		if k := kind(tool); k != "an object" {
			return nil, p.bad(fmt.Sprintf("tools[%d] is %s, not an object", i, k), `write it as {"type": "function", "function": {...}}`)
		}
		if i > 0 {
			out = append(out, ", "...)
		}
		if o := p.object(tool); schema == Conversations && o.has("name") && !o.has("function") {
			out = append(append(append(out, `{"type": "function", "function": `...), tool...), '}')
		} else {
			out = append(out, tool...)
		}
	}
	return append(out, ']'), nil
}

// within puts the path of a turn before the key that a complaint names.
func within(path string, bad *RowError) *RowError {
	bad.What = strings.Replace(bad.What, `"`, `"`+path+".", 1)
	return bad
}
