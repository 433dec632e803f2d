package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"attune/data"
	"attune/data/source"
)

func small(t *testing.T, seed uint64) *dataset {
	t.Helper()
	d, err := generate(seed, 300, 40, 10)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Each file is read as the schema it is named for, and its conversations are what the task says.
func TestSchemas(t *testing.T) {
	d, dir := small(t, 1), t.TempDir()
	if err := d.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, schema, roles string
		rows                int
	}{
		{textFile, "text", "", 300}, {instructionFile, "instruction", "user assistant", 40}, {messagesFile, "messages", "system user assistant", 40},
		{conversationsFile, "conversations", "user assistant user assistant", 40}, {heldOutFile, "messages", "", 30},
	} {
		r, err := source.Open(t.Context(), filepath.Join(dir, c.file), source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		err = r.Each(func(got data.Conversation) error {
			rows++
			if c.roles != "" && roles(got) != c.roles {
				t.Errorf("%s row %d: roles %q, want %q", c.file, rows, roles(got), c.roles)
			}
			if c.schema == "text" && !strings.Contains(got.Text, "rder") {
				t.Errorf("%s row %d: %q names neither an order nor that there is none", c.file, rows, got.Text)
			}
			if n := len(got.Messages); n > 0 {
				right(t, got.Messages[n-2].Content, got.Messages[n-1].Content, got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if rows != c.rows || r.Schema() != c.schema {
			t.Errorf("%s: %d rows of schema %s, want %d of %s", c.file, rows, r.Schema(), c.rows, c.schema)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func roles(c data.Conversation) string {
	var rs []string
	for _, m := range c.Messages {
		rs = append(rs, string(m.Role))
	}
	return strings.Join(rs, " ")
}

// right holds an answer to what its question can know: an order is named where there is a number, and nowhere else.
func right(t *testing.T, question, answer string, c data.Conversation) {
	t.Helper()
	whole := ""
	for _, m := range c.Messages[:len(c.Messages)-1] {
		whole += m.Content
	}
	number := strings.ContainsAny(whole, "0123456789")
	switch {
	case strings.HasSuffix(answer, "no order"):
		if number {
			t.Errorf("%q answers %q, which has a number", answer, whole)
		}
	case strings.HasSuffix(answer, "order named"):
		if !number {
			t.Errorf("%q answers %q, which has no number", answer, whole)
		}
	default:
		if !strings.HasPrefix(question, askTeam) {
			t.Errorf("%q answers %q, which did not ask for the team alone", answer, question)
		}
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	a, b, other := small(t, 1), small(t, 1), small(t, 2)
	for _, name := range a.names {
		if !bytes.Equal(a.files[name].Bytes(), b.files[name].Bytes()) {
			t.Errorf("%s differs between two runs with one seed", name)
		}
		if bytes.Equal(a.files[name].Bytes(), other.files[name].Bytes()) {
			t.Errorf("%s is the same with another seed", name)
		}
	}
}

// The check sees whatever of a held-out row gets into the training data.
func TestLeaksAreSeen(t *testing.T) {
	for _, what := range []struct {
		name string
		of   func(mail) string
	}{{"message", func(m mail) string { return m.text }}, {"complaint", func(m mail) string { return m.complaint }}, {"order", func(m mail) string { return m.order }}} {
		for _, file := range []string{textFile, instructionFile, messagesFile, conversationsFile} {
			d := small(t, 1)
			m := d.held[0]
			for _, other := range d.held {
				if other.order != "" {
					m = other
				}
			}
			if err := d.add(file, what.of(m)); err != nil {
				t.Fatal(err)
			}
			if err := d.check(); err == nil || !strings.Contains(err.Error(), "held-out") {
				t.Errorf("a held-out %s in %s: got %v", what.name, file, err)
			}
		}
	}
	d := small(t, 1)
	if err := d.add(messagesFile, heldOutWords.products[0]); err != nil {
		t.Fatal(err)
	}
	if d.check() == nil {
		t.Error("a held-out product in the rows passes")
	}
}
