package main

import (
	"fmt"
	"strings"
)

// document is a row of the text corpus: what the shop's people write down and answer. It has the domain's words, which
// team cares for what, and numbers that once named are named again; it never has the form of the rows: no question to
// a model, no answer in a word.
//
// done is the share of the corpus already written, 0 to 1. The corpus goes from easy to hard: histories alone teach a
// small model to repeat a number, which it needs before the rest is worth reading.
func (w *writer) document(done float64) string {
	if w.r.Float64() < max(1-2.5*done, 0.1) {
		return w.history()
	}
	if w.r.Intn(5) < 3 {
		return w.note()
	}
	return w.thread()
}

// history is what became of an order.
func (w *writer) history() string {
	n := w.number()
	steps := []string{"came in", "was paid", "was packed", "left the house", "was delivered", "was checked", "is closed"}
	w.r.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	var b strings.Builder
	fmt.Fprintf(&b, "A %s, order %s.", w.pick(w.words.products), n)
	for _, s := range steps[:4] {
		fmt.Fprintf(&b, " Order %s %s.", n, s)
	}
	return b.String()
}

// note is a case as the front desk writes it down.
func (w *writer) note() string {
	t := teams[w.r.Intn(len(teams))]
	if w.r.Intn(5) == 0 {
		return fmt.Sprintf("%s, no order: %s It went to %s.", w.pick(weekdays), w.complaint(t), t.name)
	}
	n := w.number()
	return fmt.Sprintf("%s, order %s: %s Order %s went to %s.", w.pick(weekdays), n, w.complaint(t), n, t.name)
}

// thread is a message and the reply to it.
func (w *writer) thread() string {
	m := w.mail()
	with := []string{
		"Dear %s, thank you for writing about order %s. The %s team will look at it.",
		"Hello %s, I have found order %s and gave it to the %s team.",
		"Hi %s, your order %s is with our %s team now.",
	}
	without := []string{
		"Dear %s, thank you for writing. You named no order. The %s team will look at it.",
		"Hello %s, I found no order but gave your message to the %s team.",
		"Hi %s, your message is with our %s team now. It has no order.",
	}
	if m.order == "" {
		return m.text + "\n\n" + fmt.Sprintf(w.pick(without), m.name, m.team)
	}
	return m.text + "\n\n" + fmt.Sprintf(w.pick(with), m.name, m.order, m.team)
}
