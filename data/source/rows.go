package source

import (
	"fmt"

	"attune/data"
)

// instruction reads {instruction, input, output, system}: the user says the instruction and, after a blank line, the
// input if there is one. Self-Instruct's seed form, with input and output in a list "instances" of one, is read too.
func (p *parser) instruction(row object) ([]data.Message, *RowError) {
	instruction, bad := p.text(row, "instruction")
	if bad != nil {
		return nil, bad
	}
	answer := row
	if v, ok := row.set("instances"); ok && !row.has("output") {
		if kind(v) != "a list" || len(elements(v)) != 1 || kind(elements(v)[0]) != "an object" {
			return nil, p.bad(`"instances" is not a list of one object`, "write each instance as a row")
		}
		answer = p.object(elements(v)[0])
	}
	input, bad := p.optionalText(answer, "input")
	if bad != nil {
		return nil, bad
	}
	output, bad := p.text(answer, "output")
	if bad != nil {
		return nil, bad
	}
	if v, ok := row.set("history"); ok && kind(v) == "a list" && len(elements(v)) > 0 {
		p.warn(Unread, `"history" is not read; write earlier turns as "messages"`)
	}
	user := instruction
	switch {
	case instruction == "":
		user = input
	case input != "":
		user = instruction + "\n\n" + input
	}
	return p.pair(row, user, output)
}

// inputOutput reads {input, output, system}.
func (p *parser) inputOutput(row object) ([]data.Message, *RowError) {
	input, bad := p.optionalText(row, "input")
	if bad != nil {
		return nil, bad
	}
	if !row.has("input") {
		return nil, p.missing("input")
	}
	output, bad := p.text(row, "output")
	if bad != nil {
		return nil, bad
	}
	return p.pair(row, input, output)
}

// pair is a conversation of one question and its answer.
func (p *parser) pair(row object, user, assistant string) ([]data.Message, *RowError) {
	turns := []data.Message{{Role: "user", Content: user}, {Role: "assistant", Content: assistant}}
	if bad := p.rowLearning(row, turns); bad != nil {
		return nil, bad
	}
	return p.withSystem(row, turns)
}

// withSystem puts the row's own system prompt before its turns.
func (p *parser) withSystem(row object, turns []data.Message) ([]data.Message, *RowError) {
	system, bad := p.optionalText(row, "system")
	if bad != nil || system == "" {
		return turns, bad
	}
	if len(turns) > 0 && turns[0].Role == "system" {
		return nil, p.bad(`the row has "system" and a system turn`, "remove one of them")
	}
	return append([]data.Message{{Role: "system", Content: system}}, turns...), nil
}

// talk reads the turns of a row that has a list of them.
func (p *parser) talk(row object, schema string) ([]data.Message, *RowError) {
	if bad := p.noLearning(row, fmt.Sprintf("stands beside %q, where it is not read", schema), "write it in the turns that it is meant for, or rename it"); bad != nil {
		return nil, bad
	}
	if schema == Messages {
		return p.messages(row)
	}
	return p.conversations(row)
}

// plain reads {text}.
func (p *parser) plain(row object) (string, *RowError) {
	if bad := p.noLearning(row, `is not read beside "text", which is trained whole`, "remove the key or the row, or rename it"); bad != nil {
		return "", bad
	}
	s, bad := p.text(row, "text")
	if bad == nil && s == "" {
		bad = p.bad(`"text" is empty`, "fill it in or remove the row")
	}
	return s, bad
}

// finish checks what holds for turns of any schema, and leaves out those after the last assistant turn: nothing is
// learnt from them.
func (p *parser) finish(turns []data.Message, schema string) ([]data.Message, *RowError) {
	last := -1
	for i, m := range turns {
		if m.Role == "assistant" {
			last = i
		}
		if m.Content == "" && m.ToolCalls == nil {
			p.warn(EmptyText, "the %s turn (number %d) is empty", m.Role, i+1)
		}
	}
	if len(turns) == 0 {
		return nil, p.bad(fmt.Sprintf("%q holds no turns", schema), "fill it in or remove the row")
	}
	if last < 0 {
		return nil, p.bad("there is no assistant turn to learn from", "add the answer or remove the row")
	}
	if n := len(turns) - 1 - last; n > 0 {
		p.warn(TurnsDropped, "turns after the last assistant turn teach nothing and are left out: %d", n)
	}
	return turns[:last+1], nil
}

// text reads a value that must be there.
func (p *parser) text(row object, key string) (string, *RowError) {
	v, ok := row.get(key)
	if !ok {
		return "", p.missing(key)
	}
	if k := kind(v); k != "text" {
		return "", p.notText(key, k)
	}
	return text(v), nil
}

// optionalText reads a value that may be missing or null.
func (p *parser) optionalText(row object, key string) (string, *RowError) {
	v, ok := row.set(key)
	if !ok {
		return "", nil
	}
	if k := kind(v); k != "text" {
		return "", p.notText(key, k)
	}
	return text(v), nil
}

func (p *parser) missing(path string) *RowError {
	return p.bad(fmt.Sprintf("%q is missing", path), "add it or remove the row")
}

func (p *parser) notText(path, kind string) *RowError {
	if kind == "null" {
		return p.bad(fmt.Sprintf("%q is null", path), "fill it in or remove the row")
	}
	return p.bad(fmt.Sprintf("%q is %s, not text", path, kind), "write it as one string")
}
