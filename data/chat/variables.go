package chat

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"attune/data"
	"attune/data/jinja"
	"attune/data/tokenizer"
)

// Fields of a message that are the row's own words. The role is not: templates build their markers from it.
const (
	fieldContent   = "content"
	fieldReasoning = "reasoning_content"
	fieldCalls     = "tool_calls"
	fieldRole      = "role"

	// Fields of no message.
	fieldTools  = "tools"
	fieldSystem = "system" // the system prompt of the run file
	fieldText   = "text"   // a row of plain text
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

	stops       []string        // at these generation stops
	memo        map[cut]outcome // renderings that may be asked for again
	opening     string          // what the template writes to open an answer, once it is known
	thoughtless bool            // the template is known to write no thoughts
	hits        []Span          // scratch
}

// cut names a rendering of a conversation: its first n messages, with the opening of an answer or without.
type cut struct {
	n      int
	prompt bool
}

type outcome struct {
	r   jinja.Result
	err error
}

// newConversation turns the row's messages into template values. nullContent gives None instead of "" as the content of a
// turn that only calls tools: some templates take the one, some the other.
func (t *Template) newConversation(conv data.Conversation, o RenderOptions, nullContent bool) (*conversation, error) {
	c := &conversation{t: t, conv: conv, o: o, memo: map[cut]outcome{}}
	if c.o.special == nil {
		c.o.special = tokenizer.NewFinder(o.SpecialTokens)
	}
	c.vars = map[string]any{"documents": nil, "tools": nil}
	specials := o.Specials
	if specials == nil {
		specials = t.specials
	}
	for k, v := range specials {
		c.vars[k] = v
	}
	c.stops = o.StopTokens
	if eos := specials["eos_token"]; eos != "" {
		c.stops = append(slices.Clone(c.stops), eos)
	}
	if len(conv.Tools) > 0 {
		tools, err := jinja.FromJSON(conv.Tools, &jinja.Origin{Message: noMessage, Field: fieldTools})
		if err != nil {
			return nil, fmt.Errorf("tools: %w", err)
		}
		c.vars["tools"] = tools
	}
	maps.Copy(c.vars, o.Kwargs)
	if o.System != "" && !hasSystem(conv.Messages) {
		d := jinja.NewDict()
		d.Set(fieldRole, jinja.NewStr("system", nil))
		d.Set(fieldContent, jinja.NewStr(o.System, &jinja.Origin{Message: noMessage, Field: fieldSystem}))
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
	k := cut{n, prompt && c.t.compiled.Uses(promptVariable)}
	if o, ok := c.memo[k]; ok {
		return o.r, o.err
	}
	r, err := c.run(c.messages[:c.lead+n], prompt)
	c.memo[k] = outcome{r, err}
	return r, err
}

// forget drops the renderings of fewer than n messages.
func (c *conversation) forget(n int) {
	maps.DeleteFunc(c.memo, func(k cut, _ outcome) bool { return k.n < n })
}

// promptVariable is what a template reads to know whether an answer is to be opened.
const promptVariable = "add_generation_prompt"

func (c *conversation) run(messages []jinja.Value, prompt bool) (jinja.Result, error) {
	c.vars["messages"] = jinja.NewList(messages...)
	c.vars[promptVariable] = prompt
	r, err := c.t.compiled.Render(c.vars, jinja.Options{Now: c.o.Now, Context: c.o.Context})
	var raised *jinja.Error
	if errors.As(err, &raised) && raised.Kind == jinja.Raised {
		return r, fmt.Errorf("the chat template refuses this conversation: %s", strings.TrimSpace(raised.Msg))
	}
	if raised != nil {
		for _, role := range roleTokens {
			if raised.Msg == "'"+role+"' is undefined" {
				return r, fmt.Errorf("%s (line %d, column %d) needs %s, and the tokenizer has none; set %s in tokenizer_config.json, or template to one made for this model", c.t.name, raised.Line, raised.Col, role, role)
			}
		}
	}
	if err != nil {
		return r, fmt.Errorf("render the conversation: %w", err)
	}
	return r, nil
}

// with renders the first i messages and then m in the place of turn i, to see what the template makes of it.
func (c *conversation) with(i int, m data.Message) (jinja.Result, error) {
	d, err := message(i, m, false)
	if err != nil {
		return jinja.Result{}, err
	}
	return c.run(append(slices.Clone(c.messages[:c.lead+i]), d), false)
}

// plain is turn i with nothing but a short content, to see where content begins.
func (c *conversation) plain(i int) (jinja.Result, error) {
	return c.with(i, data.Message{Role: c.conv.Messages[i].Role, Content: "x"})
}
