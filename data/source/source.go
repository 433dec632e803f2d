// Package source reads rows: JSONL files and JSON arrays in five schemas, each row as a data.Conversation, each complaint
// with the file, the line and the cure. Nothing but one row is held in memory at a time.
//
// The schemas are told apart by their keys, once a file, and a file that mixes them is refused unless Options.Format (or a
// key "format" in the row) says how a row is meant:
//
//	instruction    instruction, output, optional input and system (Alpaca)
//	input_output   input, output, optional system; metadata is not read
//	messages       messages: [{role, content, tool_calls, ...}], optional tools (OpenAI)
//	conversations  conversations: [{from, value}], optional tools and system (ShareGPT)
//	text           text: continued pretraining
//
// Whether and how strongly an answer is learnt is said by train and weight (or loss_weight): in its turn, or in the row of the
// first two schemas, which has one answer.
package source

import (
	"errors"
	"io"

	"attune/data"
)

// The names of the schemas, as Options.Format, the row key "format" and Reader.Schema have them.
const (
	Auto          = "auto"
	Instruction   = "instruction"
	InputOutput   = "input_output"
	Messages      = "messages"
	Conversations = "conversations"
	Text          = "text"
)

// Formats lists what Options.Format may be.
func Formats() []string {
	return []string{Auto, Instruction, InputOutput, Messages, Conversations, Text}
}

// MaxRow is the most bytes one row may take. It bounds the memory of reading, whatever the file holds.
const MaxRow = 64 << 20

// Options says how a file is read. The zero value detects the schema and keeps 20 complaints.
type Options struct {
	Format    string        // one of Formats; "" = auto
	MaxErrors int           // complaints kept by Each and ReadAll; 0 = 20
	Warn      func(Warning) // gets what is odd about rows that are read all the same; nil = nobody
}

// Warning is something odd about a row that is usable.
type Warning struct {
	data.Position
	Kind WarningKind
	What string
}

// String gives `file:line: what`.
func (w Warning) String() string { return where(w.Position) + ": " + w.What }

// WarningKind sorts warnings for whoever counts them.
type WarningKind string

// The kinds of Warning.
const (
	DuplicateKey  WarningKind = "duplicate-key"  // a key stands twice in one object; the last value is taken
	LoneSurrogate WarningKind = "lone-surrogate" // a \u escape is half of a pair; U+FFFD is read in its place
	EmptyText     WarningKind = "empty-text"     // a turn says nothing
	TurnsDropped  WarningKind = "turns-dropped"  // turns after the last assistant turn teach nothing and are left out
	Unread        WarningKind = "unread"         // a key that other tools read and this one does not
)

// Each calls f with every good row that Next has not given yet, in order, and goes on after bad ones: the error is an *Errors
// with all complaints up to Options.MaxErrors and the number of those beyond. A *RowError returned by f is collected with the
// others; any other error of f, and a failure to read the file, ends the reading and is returned as it is.
func (r *Reader) Each(f func(data.Conversation) error) error {
	collected := &Errors{}
	for {
		c, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = f(c)
		}
		var bad *RowError
		if errors.As(err, &bad) {
			collected.add(bad, r.opts.MaxErrors)
		} else if err != nil {
			return err
		}
	}
	if len(collected.List) == 0 {
		return nil
	}
	return collected
}
