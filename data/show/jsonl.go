package show

import (
	"bufio"
	"encoding/json"
	"io"

	"attune/data/chat"
)

// rowJSON is a row for tools. Ranges are half-open: of bytes in the UTF-8 of text, or of tokens.
type rowJSON struct {
	File     string        `json:"file"`
	Line     int           `json:"line"` // 0 = the file as a whole
	Row      int           `json:"row"`
	Schema   string        `json:"schema,omitempty"`
	Error    string        `json:"error,omitempty"`
	Notes    []string      `json:"notes,omitempty"`
	Examples []exampleJSON `json:"examples"`
}

type exampleJSON struct {
	Text    string       `json:"text"`
	IDs     []int32      `json:"ids"`
	Tokens  []string     `json:"tokens"`  // as the vocabulary writes them
	Offsets [][2]int     `json:"offsets"` // bytes of text
	Weights []float32    `json:"weights"` // 0 = not learnt
	Special []int        `json:"special"` // tokens that are special
	Trained []wordsJSON  `json:"trained"` // bytes that the turns to be learnt take
	Origins []wordsJSON  `json:"origins"` // bytes that came from the row
	Parts   [][2]int     `json:"parts"`   // tokens the model gets; all in one, unless cut, split or left out
	Cut     *cutJSON     `json:"cut,omitempty"`
	Served  []openedJSON `json:"served_otherwise,omitempty"`
}

type wordsJSON struct {
	Start   int     `json:"start"`
	End     int     `json:"end"`
	Message *int    `json:"message"` // null = of no message
	Field   string  `json:"field,omitempty"`
	Weight  float32 `json:"weight,omitempty"`
}

type cutJSON struct {
	Cut         int `json:"cut"`
	Split       int `json:"split"` // parts
	Dropped     int `json:"dropped"`
	TrainedLost int `json:"trained_tokens_lost"`
}

type openedJSON struct {
	Message int    `json:"message"`
	Served  string `json:"served"`
	Trained string `json:"trained"`
}

type jsonl struct {
	w *bufio.Writer
	e *json.Encoder
}

// NewJSONL prints one JSON object a row.
func NewJSONL(w io.Writer) Printer {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return &jsonl{b, e}
}

func (j *jsonl) Row(r Row) error {
	out := rowJSON{File: r.File, Line: r.Line, Row: r.Number, Schema: r.Schema, Notes: r.Notes, Examples: make([]exampleJSON, len(r.Examples))}
	if r.Err != nil {
		out.Error = r.Err.Error()
	}
	for i := range r.Examples {
		out.Examples[i] = r.Examples[i].json()
	}
	if err := j.e.Encode(out); err != nil {
		return err
	}
	return j.w.Flush()
}

func (e *Example) json() exampleJSON {
	n := len(e.Tokens)
	out := exampleJSON{Text: e.Text, IDs: make([]int32, n), Tokens: make([]string, n), Offsets: make([][2]int, n), Weights: make([]float32, n), Special: []int{}}
	for i, t := range e.Tokens {
		out.IDs[i], out.Tokens[i], out.Offsets[i], out.Weights[i] = t.ID, t.Form, [2]int{t.Span.Start, t.Span.End}, t.Weight
		if t.Special {
			out.Special = append(out.Special, i)
		}
	}
	out.Trained = []wordsJSON{}
	for _, s := range e.Trained {
		out.Trained = append(out.Trained, words(s.Span, s.Message, "", s.Weight))
	}
	out.Origins = []wordsJSON{}
	for _, s := range e.Origins {
		out.Origins = append(out.Origins, words(chat.Span{Start: s.Start, End: s.End}, s.Message, s.Field, 0))
	}
	out.Parts = [][2]int{}
	for _, p := range e.Parts {
		out.Parts = append(out.Parts, [2]int{p.From, p.To})
	}
	if c := e.Cut; c.Cut+c.Split+c.Dropped > 0 {
		out.Cut = &cutJSON{c.Cut, c.Split, c.Dropped, c.TrainedLost}
	}
	for _, o := range e.Openings {
		out.Served = append(out.Served, openedJSON(o))
	}
	return out
}

func words(s chat.Span, message int, field string, weight float32) wordsJSON {
	w := wordsJSON{Start: s.Start, End: s.End, Field: field, Weight: weight}
	if message >= 0 {
		w.Message = &message
	}
	return w
}

func (j *jsonl) File(Summary) error { return nil }
func (j *jsonl) End(Summary) error  { return nil }
