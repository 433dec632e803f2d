package chat

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"attune/data"
	"attune/data/jinja"
)

// Fields of a message that are the row's own words. The role is not: templates build their markers from it.
const (
	fieldContent   = "content"
	fieldReasoning = "reasoning_content"
	fieldCalls     = "tool_calls"
	fieldRole      = "role"
)

// noMessage is the index of what belongs to no message: tools, the system prompt of the run file.
const noMessage = -1

// conversation is one being rendered: its messages as template values, several times for several cuts.
type conversation struct {
	t        *Template
	conv     data.Conversation
	o        RenderOptions
	vars     map[string]any
	messages []jinja.Value
	lead     int // messages put before the row's own: the system prompt
}

// newConversation turns the row's messages into template values. nullContent gives None instead of "" as the content of a
// turn that only calls tools: some templates take the one, some the other.
func (t *Template) newConversation(conv data.Conversation, o RenderOptions, nullContent bool) (*conversation, error) {
	c := &conversation{t: t, conv: conv, o: o}
	c.vars = map[string]any{"documents": nil, "tools": nil}
	specials := o.Specials
	if specials == nil {
		specials = t.specials
	}
	for k, v := range specials {
		c.vars[k] = v
	}
	if len(conv.Tools) > 0 {
		tools, err := jinja.FromJSON(conv.Tools, &jinja.Origin{Message: noMessage, Field: "tools"})
		if err != nil {
			return nil, fmt.Errorf("tools: %w", err)
		}
		c.vars["tools"] = tools
	}
	maps.Copy(c.vars, o.Kwargs)
	if o.System != "" && !hasSystem(conv.Messages) {
		d := jinja.NewDict()
		d.Set(fieldRole, jinja.NewStr("system", nil))
		d.Set(fieldContent, jinja.NewStr(o.System, &jinja.Origin{Message: noMessage, Field: "system"}))
		c.messages, c.lead = append(c.messages, d), 1
	}
	for i, m := range conv.Messages {
		d, err := message(i, m, nullContent)
		if err != nil {
			return nil, fmt.Errorf("messages[%d]: %w", i, err)
		}
		c.messages = append(c.messages, d)
	}
	return c, nil
}

func hasSystem(messages []data.Message) bool {
	for _, m := range messages {
		if m.Role == "system" {
			return true
		}
	}
	return false
}

// message is a turn as transformers hands it to a template.
func message(i int, m data.Message, nullContent bool) (*jinja.Dict, error) {
	d := jinja.NewDict()
	text := func(field, s string) *jinja.Str { return jinja.NewStr(s, &jinja.Origin{Message: i, Field: field}) }
	if m.ReasoningContent != "" { // gpt-oss templates read it under this name
		d.Set("thinking", text(fieldReasoning, m.ReasoningContent))
	}
	d.Set(fieldRole, text(fieldRole, m.Role))
	switch {
	case nullContent && m.Content == "" && len(m.ToolCalls) > 0:
		d.Set(fieldContent, nil)
	default:
		d.Set(fieldContent, text(fieldContent, m.Content))
	}
	if m.ReasoningContent != "" {
		d.Set(fieldReasoning, text(fieldReasoning, m.ReasoningContent))
	}
	if len(m.ToolCalls) > 0 {
		calls, err := jinja.FromJSON(m.ToolCalls, &jinja.Origin{Message: i, Field: fieldCalls})
		if err != nil {
			return nil, fmt.Errorf("tool_calls: %w", err)
		}
		d.Set(fieldCalls, calls)
	}
	for _, f := range []struct{ name, value string }{{"name", m.Name}, {"tool_call_id", m.ToolCallID}} {
		if f.value != "" {
			d.Set(f.name, text(f.name, f.value))
		}
	}
	return d, nil
}

// render writes the row's first n messages, with the opening of an assistant turn behind them if prompt says so.
func (c *conversation) render(n int, prompt bool) (jinja.Result, error) {
	return c.run(c.messages[:c.lead+n], prompt)
}

func (c *conversation) run(messages []jinja.Value, prompt bool) (jinja.Result, error) {
	c.vars["messages"] = jinja.NewList(messages...)
	c.vars["add_generation_prompt"] = prompt
	r, err := c.t.compiled.Render(c.vars, jinja.Options{Now: c.o.Now})
	var raised *jinja.Error
	if errors.As(err, &raised) && raised.Kind == jinja.Raised {
		return r, fmt.Errorf("the chat template refuses this conversation: %s", strings.TrimSpace(raised.Msg))
	}
	if err != nil {
		return r, fmt.Errorf("render the conversation: %w", err)
	}
	return r, nil
}

// plain renders the first i messages and then turn i with nothing but a short content, to see where content begins.
func (c *conversation) plain(i int) (jinja.Result, error) {
	d, err := message(i, data.Message{Role: c.conv.Messages[i].Role, Content: "x"}, false)
	if err != nil {
		return jinja.Result{}, err
	}
	cut := append([]jinja.Value{}, c.messages[:c.lead+i]...)
	return c.run(append(cut, d), false)
}
