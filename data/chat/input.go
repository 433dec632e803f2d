package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"attune/data/jinja"
)

// Input is a conversation as whoever serves a model hands it to the template: JSON, with messages of any form.
type Input struct {
	Conversation, Tools json.RawMessage // a list of messages; a list of tools, null or absent = none
	AddGenerationPrompt bool
	BOS, EOS            *string                    // bos_token and eos_token; nil = the variable is not defined
	Kwargs              map[string]json.RawMessage // further variables of the template
	Now                 time.Time                  // what strftime_now reads; zero = the clock
	Context             context.Context            // ends the rendering when it is done, with its error; nil = nothing does
}

// RenderJSON renders a conversation as transformers' apply_chat_template does, to the byte. Where the template refuses it,
// or cannot render it, the error is a *jinja.Error; other errors say what of the input is malformed, or are in.Context's.
func (t *Template) RenderJSON(in Input) (jinja.Result, error) {
	messages, err := messageValues(in.Conversation)
	if err != nil {
		return jinja.Result{}, err
	}
	vars := map[string]any{"messages": jinja.NewList(messages...), promptVariable: in.AddGenerationPrompt, "documents": nil, "tools": nil}
	if len(in.Tools) > 0 {
		if vars["tools"], err = jinja.FromJSON(in.Tools, &jinja.Origin{Message: noMessage, Field: fieldTools}); err != nil {
			return jinja.Result{}, fmt.Errorf("tools: %w", err)
		}
	}
	if in.BOS != nil {
		vars["bos_token"] = *in.BOS
	}
	if in.EOS != nil {
		vars["eos_token"] = *in.EOS
	}
	for _, name := range slices.Sorted(maps.Keys(in.Kwargs)) {
		if vars[name], err = jinja.FromJSON(in.Kwargs[name], nil); err != nil {
			return jinja.Result{}, fmt.Errorf("kwargs: %q: %w", name, err)
		}
	}
	return t.compiled.Render(vars, jinja.Options{Now: in.Now, Context: in.Context})
}

// thoughtFields are the names that a message's thoughts come under, the first one that is set wins: transformers fills the
// first, which templates read, from the others, and the second for the templates of gpt-oss.
var thoughtFields = []string{fieldReasoning, "thinking", "reasoning"}

// messageValues reads a JSON list of messages. Every string remembers its message and field, the keys their order.
func messageValues(raw json.RawMessage) ([]jinja.Value, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, errors.New("conversation is not a list of messages")
	}
	messages := make([]jinja.Value, len(list))
	for i, m := range list {
		keys, fields, err := entries(m)
		if err != nil {
			return nil, fmt.Errorf("conversation[%d]: %w", i, err)
		}
		d := jinja.NewDict()
		values := map[string]jinja.Value{}
		for _, k := range keys {
			if values[k], err = jinja.FromJSON(fields[k], &jinja.Origin{Message: i, Field: fieldOf(k)}); err != nil {
				return nil, fmt.Errorf("conversation[%d]: %q: %w", i, k, err)
			}
		}
		var thoughts jinja.Value
		for _, k := range thoughtFields {
			if thoughts = values[k]; thoughts != nil {
				d.Set("thinking", thoughts)
				break
			}
		}
		for _, k := range keys {
			d.Set(k, values[k])
		}
		if thoughts != nil {
			d.Set(fieldReasoning, thoughts)
		}
		messages[i] = d
	}
	return messages, nil
}

// fieldOf is what provenance calls a key of a message.
func fieldOf(key string) string {
	for _, k := range thoughtFields {
		if k == key {
			return fieldReasoning
		}
	}
	return key
}

// entries gives the keys of a JSON object in order, each once, and their values; of a key given twice the last counts.
func entries(raw json.RawMessage) (keys []string, fields map[string]json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("the message is not an object")
	}
	fields = map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		k, _ := t.(string) // keys are nothing else
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, nil, err
		}
		if _, again := fields[k]; !again {
			keys = append(keys, k)
		}
		fields[k] = v
	}
	return keys, fields, nil
}
