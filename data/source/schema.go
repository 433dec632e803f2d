package source

import (
	"fmt"
	"slices"
	"strings"

	"attune/data"
)

// parse turns the bytes of one row into a conversation.
func (r *Reader) parse(p *parser, raw []byte) (data.Conversation, *RowError) {
	c := data.Conversation{Position: p.at}
	if bad := p.check(raw); bad != nil {
		return c, bad
	}
	if k := kind(raw); k != "an object" {
		return c, p.bad("the row is "+k+", not an object", `write it as {"instruction": ..., "output": ...} or in another of the schemas`)
	}
	row := p.object(raw)
	schema, bad := r.schemaOf(p, row)
	if bad != nil {
		return c, bad
	}
	switch schema {
	case Instruction:
		c.Messages, bad = p.instruction(row)
	case InputOutput:
		c.Messages, bad = p.inputOutput(row)
	case Messages, Conversations:
		c.Messages, bad = p.talk(row, schema)
	case Text:
		c.Text, bad = p.plain(row)
	}
	if bad == nil && schema != Text {
		c.Messages, bad = p.finish(c.Messages, schema)
	}
	if bad == nil && (schema == Messages || schema == Conversations) {
		c.Tools, bad = p.tools(row, schema)
	}
	return c, bad
}

// schemaOf says how a row is to be read: as its own key "format" says, or Options.Format, or the file's schema, which
// the first row with one decides.
func (r *Reader) schemaOf(p *parser, row object) (string, *RowError) {
	if v, ok := row.get("format"); ok && kind(v) == "text" {
		if f := text(v); f != Auto && known(f) {
			return f, nil
		}
	}
	if r.opts.Format != Auto {
		return r.opts.Format, nil
	}
	if bad := p.preference(row); bad != nil {
		bad.form = true
		return "", bad
	}
	found := candidates(row)
	switch {
	case len(found) > 1:
		return "", p.bad(fmt.Sprintf("the row is both %s and %s", signs[found[0]], signs[found[1]]),
			fmt.Sprintf("remove one, or set format to %s or %s", found[0], found[1]))
	case len(found) == 0:
		if r.schema != "" && partOf(row, r.schema) {
			return r.schema, nil // a key is missing: whoever reads it says which
		}
		bad := p.unknownForm(row)
		bad.form = true
		return "", bad
	case r.schema == "":
		r.schema, r.schemaAt = found[0], p.at.Line
	case r.schema != found[0]:
		return "", p.bad(fmt.Sprintf("the row has %s, the file is read as %s since line %d", signs[found[0]], r.schema, r.schemaAt),
			fmt.Sprintf(`move it to a file of its own or add "format": %q to the row`, found[0]))
	}
	return found[0], nil
}

// signs are the keys by which a schema is known, in words.
var signs = map[string]string{
	Instruction:   `"instruction"`,
	InputOutput:   `"input" with "output"`,
	Messages:      `"messages"`,
	Conversations: `"conversations"`,
	Text:          `"text"`,
}

// candidates are the schemas a row could be meant in.
func candidates(row object) []string {
	var found []string
	for _, s := range []string{Messages, Conversations, Instruction, Text} {
		if row.has(s) {
			found = append(found, s)
		}
	}
	if !row.has("instruction") && row.has("input") && row.has("output") {
		found = append(found, InputOutput)
	}
	return found
}

// partOf says whether a row has some of a schema's keys.
func partOf(row object, schema string) bool {
	return (schema == Instruction || schema == InputOutput) && (row.has("input") || row.has("output"))
}

// preference complains about rows that hold judged answers: to learn from a rejected one would be wrong.
func (p *parser) preference(row object) *RowError {
	if row.has("chosen") || row.has("rejected") {
		return p.bad(`the row holds a preference pair ("chosen", "rejected"), which is none of the schemas`,
			"write the chosen answer as an assistant turn, or remove the file")
	}
	if v, ok := row.get("label"); ok && kind(v) == "true or false" && (row.has(Messages) || row.has(Conversations) || row.has("completion")) {
		return p.bad(`the row holds an answer judged by "label" (KTO), which is none of the schemas`,
			`keep the rows labelled true and remove "label", or set format if every answer is to be learnt`)
	}
	return nil
}

// renames are pairs of keys that other forms have for input and output.
var renames = [][2]string{{"prompt", "completion"}, {"prompt", "response"}, {"question", "answer"}, {"query", "response"}, {"source", "target"}}

func (p *parser) unknownForm(row object) *RowError {
	for _, pair := range renames {
		if row.has(pair[0]) && row.has(pair[1]) {
			return p.bad(fmt.Sprintf("the row has %q and %q, which is none of the schemas", pair[0], pair[1]), `rename them to "input" and "output"`)
		}
	}
	if row.has("message_tree_id") {
		return p.bad("the row is an Open Assistant message tree, which is none of the schemas", `write each path through it as a row with "messages"`)
	}
	for _, f := range row {
		if kind(f.value) == "a list" {
			if list := elements(f.value); len(list) > 0 && kind(list[0]) == "an object" {
				return p.bad(fmt.Sprintf("the row is none of the schemas; rows seem to stand under its key %q", clip(f.key)),
					fmt.Sprintf("keep only that array (jq '.[%q]')", clip(f.key)))
			}
		}
	}
	if len(row) == 0 {
		return p.bad("the row is an empty object", "fill it in or remove it")
	}
	var keys []string
	for _, f := range row[:min(len(row), 8)] {
		keys = append(keys, fmt.Sprintf("%q", clip(f.key)))
	}
	if len(row) > 8 {
		keys = append(keys, "...")
	}
	return p.bad("the row has "+strings.Join(keys, ", ")+", which is none of the schemas",
		`rename its keys to "instruction" and "output", "input" and "output", "messages", "conversations" or "text"`)
}

func known(format string) bool { return slices.Contains(Formats(), format) }

func list(names []string) string {
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// clip keeps what a complaint quotes short.
func clip(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
