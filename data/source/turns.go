package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

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

// learningKeys are the keys that say whether and how strongly a turn is learnt; the last two mean the same.
var learningKeys = []string{"train", "weight", "loss_weight"}

// nearest is a key of a turn that decides what is learnt, for one that is written otherwise; "" = for none.
func nearest(key string) string {
	if len(key) > 32 {
		return "" // whatever it is, and however long
	}
	key = strings.ToLower(key)
	for _, k := range []string{"train", "weight", "loss_weight", "tool_calls", "reasoning_content"} {
		if levenshtein.ComputeDistance(key, k) <= 2 { // two letters in the wrong order are two
			return k
		}
	}
	return ""
}

// misspelt warns of keys of a turn that are not read and nearly named as one that is.
func (p *parser) misspelt(o object, path string) {
	for _, f := range o {
		switch f.key {
		case "role", "content", "from", "value", "name", "tool_call_id", "train", "weight", "loss_weight", "tool_calls", "reasoning_content":
		default:
			if near := nearest(f.key); near != "" {
				p.warn(Unread, "%s has the key %q, which is not read; did you mean %q?", path, clip(f.key), near)
			}
		}
	}
}

// learning reads whether and how strongly a turn is learnt: train, and weight or loss_weight.
func (p *parser) learning(o object, path string, m *data.Message) *RowError {
	p.misspelt(o, path)
	return p.learnt(o, path+".", m)
}

// rowLearning reads the same of a row of one question and its answer: it is about the answer, the last of turns.
func (p *parser) rowLearning(row object, turns []data.Message) *RowError {
	return p.learnt(row, "", &turns[len(turns)-1])
}

// noLearning refuses at a row what is only read elsewhere.
func (p *parser) noLearning(row object, what, do string) *RowError {
	for _, key := range learningKeys {
		if _, ok := row.set(key); ok {
			return p.bad(fmt.Sprintf("%q %s", key, what), do)
		}
	}
	return nil
}

// learnt reads train, and weight or loss_weight, of an object; prefix stands before the keys in complaints.
func (p *parser) learnt(o object, prefix string, m *data.Message) *RowError {
	if v, ok := o.set("train"); ok {
		if kind(v) != "true or false" {
			return p.bad(fmt.Sprintf("%q is %s", prefix+"train", kind(v)), "write true or false")
		}
		train := v[0] == 't'
		m.Train = &train
	}
	for _, key := range learningKeys[1:] {
		v, ok := o.set(key)
		if !ok {
			continue
		}
		w, err := strconv.ParseFloat(string(v), 64)
		if kind(v) != "a number" || err != nil || w < 0 || w > math.MaxFloat32 {
			return p.bad(fmt.Sprintf("%q is %s", prefix+key, clip(string(v))), "write a number from 0, 1 being the weight of other turns")
		}
		if m.Weight != nil && *m.Weight != w {
			return p.bad(fmt.Sprintf("%q and %q differ", prefix+"weight", prefix+"loss_weight"), "remove one")
		}
		if w > 0 && float32(w) == 0 {
			return p.bad(fmt.Sprintf("%q is %s, which is 0 in float32", prefix+key, clip(string(v))), "write 0 to leave the turn out, or a larger number")
		}
		m.Weight = &w
	}
	return nil
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
