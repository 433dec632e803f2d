// Rows writes the data of `make demo`: the post of a shop that does not exist, in our own words. text.jsonl is the text
// a small base model is pre-trained on; instruction.jsonl, messages.jsonl and conversations.jsonl are the rows it is
// tuned on, one schema a file; held-out.jsonl is what it is judged by. The same seed gives the same bytes.
//
// Held-out rows share no message, complaint or order number with the text or the other rows, and no product or customer
// with the other rows; that is checked before anything is written.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"attune/internal/rng"
)

func main() {
	seed := flag.Uint64("seed", 1, "of every choice")
	documents := flag.Int("text", 12000, "documents of text")
	rows := flag.Int("rows", 900, "training rows of each schema")
	held := flag.Int("held-out", 50, "held-out rows of each kind of task")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: rows [flags] DIR")
		flag.PrintDefaults()
		os.Exit(2)
	}
	d, err := generate(*seed, *documents, *rows, *held)
	if err == nil {
		err = d.write(flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rows:", err)
		os.Exit(1)
	}
}

// dataset is every file of the demo, by name.
type dataset struct {
	names []string // of the files, in the order of their making
	files map[string]*bytes.Buffer
	rows  map[string]int
	held  []mail
}

func (d *dataset) add(name string, row any) error {
	if d.files[name] == nil {
		d.names = append(d.names, name)
		d.files[name] = new(bytes.Buffer)
	}
	d.rows[name]++
	e := json.NewEncoder(d.files[name])
	e.SetEscapeHTML(false)
	return e.Encode(row)
}

// Files that generate makes.
const (
	textFile          = "text.jsonl"
	instructionFile   = "instruction.jsonl"
	messagesFile      = "messages.jsonl"
	conversationsFile = "conversations.jsonl"
	heldOutFile       = "held-out.jsonl"
)

func generate(seed uint64, documents, rows, held int) (*dataset, error) {
	d := &dataset{files: map[string]*bytes.Buffer{}, rows: map[string]int{}}
	w := &writer{r: rng.New(seed, rng.Hash("text")), words: trainWords.and(heldOutWords)}
	for i := range documents {
		text := w.document(float64(i) / float64(documents))
		if err := d.add(textFile, map[string]string{"text": text}); err != nil {
			return nil, err
		}
	}
	w.r, w.words = rng.New(seed, rng.Hash("rows")), trainWords
	for range rows {
		if err := errors.Join(d.add(instructionFile, instruction(w.mail())), d.add(messagesFile, messages(file(w.mail()))),
			d.add(conversationsFile, conversations(follow(w.mail())))); err != nil {
			return nil, err
		}
	}
	h := &writer{r: rng.New(seed, rng.Hash("held-out")), words: heldOutWords, heldOut: true}
	for range held {
		for _, task := range []func(mail) task{route, file, follow} {
			m := h.mail()
			d.held = append(d.held, m)
			if err := d.add(heldOutFile, messages(task(m))); err != nil {
				return nil, err
			}
		}
	}
	return d, d.check()
}

// check is the error of a held-out row that training has seen something of.
func (d *dataset) check() error {
	var rows bytes.Buffer
	for _, name := range []string{instructionFile, messagesFile, conversationsFile} {
		if b := d.files[name]; b != nil {
			rows.Write(b.Bytes())
		}
	}
	seen := func(b *bytes.Buffer, what, word string) error {
		if b != nil && word != "" && bytes.Contains(b.Bytes(), []byte(word)) {
			return fmt.Errorf("the held-out %s %q is in the training data", what, word)
		}
		return nil
	}
	for _, m := range d.held {
		for _, b := range []*bytes.Buffer{&rows, d.files[textFile]} {
			if err := errors.Join(seen(b, "message", m.text), seen(b, "complaint", m.complaint), seen(b, "order", m.order)); err != nil {
				return err
			}
		}
	}
	for _, word := range append(slices.Clone(heldOutWords.products), heldOutWords.names...) {
		if err := seen(&rows, "word", word); err != nil {
			return err
		}
	}
	return nil
}

func (d *dataset) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range d.names {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, d.files[name].Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Printf("wrote %s: %d rows, %d bytes\n", path, d.rows[name], d.files[name].Len())
	}
	return nil
}
