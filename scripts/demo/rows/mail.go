package main

import (
	"strings"

	"attune/internal/rng"
)

// mail is a customer's message and what is known about it.
type mail struct {
	text      string
	complaint string // the sentence that tells the team
	team      string
	order     string // five digits, "" = the message names none
	name      string
}

// writer makes mails of one side of the split: training (text corpus and rows) or held-out.
type writer struct {
	r       *rng.Source
	words   words
	heldOut bool
}

func (w *writer) pick(list []string) string { return list[w.r.Intn(len(list))] }

// number draws an order number of the writer's side; which side a number is on hangs on the number alone. No digit comes
// twice in one, as in numbers that people must type.
func (w *writer) number() string {
	digits := []byte("0123456789")
	for {
		w.r.Shuffle(len(digits), func(i, j int) { digits[i], digits[j] = digits[j], digits[i] })
		if n := string(digits[:5]); isHeldOut(n) == w.heldOut {
			return n
		}
	}
}

// isHeldOut is so for about one number in eight.
func isHeldOut(n string) bool { return rng.New(rng.Hash(n)).Intn(8) == 0 }

// complaint is what is wrong, to a team: one clause or two.
func (w *writer) complaint(t team) string {
	said := w.pick(t.heldOut)
	if !w.heldOut {
		said = w.pick(t.clauses)
		if w.r.Intn(2) == 0 {
			said += w.pick(joints) + w.pick(t.clauses)
		}
		said = strings.ToUpper(said[:1]) + said[1:] + "."
	}
	return strings.NewReplacer("%p", w.pick(w.words.products), "%d", w.pick(weekdays)).Replace(said)
}

// mail writes a message: an opening, what is wrong, perhaps a remark, in four of five the order number, a closing.
func (w *writer) mail() mail {
	t := teams[w.r.Intn(len(teams))]
	m := mail{team: t.name, name: w.pick(w.words.names), complaint: w.complaint(t)}
	middle := []string{m.complaint}
	if w.r.Intn(3) == 0 {
		middle = append(middle, w.pick(remarks))
	}
	if w.r.Intn(5) > 0 {
		m.order = w.number()
		said := strings.ReplaceAll(w.pick(numbered), "%n", m.order)
		at := w.r.Intn(len(middle) + 1)
		middle = append(middle[:at], append([]string{said}, middle[at:]...)...)
	}
	parts := append([]string{w.pick(openings)}, middle...)
	m.text = strings.Join(append(parts, w.pick(closings), m.name), " ")
	return m
}
