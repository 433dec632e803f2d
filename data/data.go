// Package data holds what the rooms below it exchange: a Conversation (a row as people wrote it), an Example (token ids
// with the weight each is learnt at) and a Batch (examples packed into one row of fixed length).
package data

import "encoding/json"

// Position says where a row came from, for every complaint about it.
type Position struct {
	File string
	Line int // from 1: the line on which the row begins
}

// Message is one turn, in the words of the OpenAI form. Fields that a row does not have are zero.
type Message struct {
	Role             string // system, user, assistant, tool
	Content          string
	ReasoningContent string          // an assistant's thoughts, where the row has them
	ToolCalls        json.RawMessage // as the row has them, key order kept; nil = none
	Name             string
	ToolCallID       string
	Train            *bool    // nil = as train_on says
	Weight           *float64 // nil = 1
}

// Conversation is one row. Either Messages or Text is set.
type Conversation struct {
	Position
	Messages []Message
	Tools    json.RawMessage // JSON array, key order kept; nil = none
	Text     string          // continued pretraining: every token is trained, the document-end token is added
}

// Example is one row as the model gets it. Weights[i] is the weight at which token i is learnt (as the target of
// token i-1); 0 = read, not learnt.
type Example struct {
	Position
	IDs     []int32
	Weights []float32
	// Ordinal numbers the example within its source, from 0; in a step of the loader over all sources, the copies of one
	// in an epoch apart. Dropout is keyed by it, so that it does not depend on packing.
	Ordinal int
}

// Trained is the number of tokens this example is trained on; the first token has no predecessor and never counts.
func (e *Example) Trained() int {
	n := 0
	for i := 1; i < len(e.Weights); i++ {
		if e.Weights[i] != 0 {
			n++
		}
	}
	return n
}

// Batch is one packed row, the input of one forward and backward pass. All slices have length Tokens.
type Batch struct {
	Tokens    int       // T, a multiple of pack.Quantum
	IDs       []int32   // the padding id on padding
	Positions []int32   // from 0 in each example; 0 on padding
	Segments  []int32   // which example of the row, from 0; -1 on padding
	Targets   []int32   // the next token of the same example; 0 where there is none
	Weights   []float32 // weight of the target divided by the step's trained tokens; 0 where nothing is learnt
	Keys      []int32   // hash of (seed, epoch, example, position): dropout's counter
	Real      int       // tokens that are not padding
	Trained   int       // positions with a weight
}
