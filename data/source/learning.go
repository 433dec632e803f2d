package source

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

	"attune/data"
)

// learningKeys are the keys that say whether and how strongly a turn is learnt; the last two mean the same.
var learningKeys = []string{"train", "weight", "loss_weight"}

// nearest is a key of a turn that decides what is learnt, for one that is written otherwise; "" = for none.
func nearest(key string) string {
	if len(key) > 32 {
		return "" // whatever it is, and however long
	}
	key = strings.ToLower(key)
	for _, k := range []string{"train", "weight", "loss_weight", "tool_calls", "reasoning_content"} {
		if levenshtein.ComputeDistance(key, k) <= 2 { // two letters in the wrong order are two
			return k
		}
	}
	return ""
}

// misspelt warns of keys of a turn that are not read and nearly named as one that is.
func (p *parser) misspelt(o object, path string) {
	for _, f := range o {
		switch f.key {
		case "role", "content", "from", "value", "name", "tool_call_id", "train", "weight", "loss_weight", "tool_calls", "reasoning_content":
		default:
			if near := nearest(f.key); near != "" {
				p.warn(Unread, "%s has the key %q, which is not read; did you mean %q?", path, clip(f.key), near)
			}
		}
	}
}

// learning reads whether and how strongly a turn is learnt: train, and weight or loss_weight.
func (p *parser) learning(o object, path string, m *data.Message) *RowError {
	p.misspelt(o, path)
	return p.learnt(o, path+".", m)
}

// rowLearning reads the same of a row of one question and its answer: it is about the answer, the last of turns.
func (p *parser) rowLearning(row object, turns []data.Message) *RowError {
	return p.learnt(row, "", &turns[len(turns)-1])
}

// noLearning refuses at a row what is only read elsewhere.
func (p *parser) noLearning(row object, what, do string) *RowError {
	for _, key := range learningKeys {
		if _, ok := row.set(key); ok {
			return p.bad(fmt.Sprintf("%q %s", key, what), do)
		}
	}
	return nil
}

// learnt reads train, and weight or loss_weight, of an object; prefix stands before the keys in complaints.
func (p *parser) learnt(o object, prefix string, m *data.Message) *RowError {
	if v, ok := o.set("train"); ok {
		if kind(v) != "true or false" {
			return p.bad(fmt.Sprintf("%q is %s", prefix+"train", kind(v)), "write true or false")
		}
		train := v[0] == 't'
		m.Train = &train
	}
	for _, key := range learningKeys[1:] {
		v, ok := o.set(key)
		if !ok {
			continue
		}
		w, err := strconv.ParseFloat(string(v), 64)
		if kind(v) != "a number" || err != nil || w < 0 || w > math.MaxFloat32 {
			return p.bad(fmt.Sprintf("%q is %s", prefix+key, clip(string(v))), "write a number from 0, 1 being the weight of other turns")
		}
		if m.Weight != nil && *m.Weight != w {
			return p.bad(fmt.Sprintf("%q and %q differ", prefix+"weight", prefix+"loss_weight"), "remove one")
		}
		if w > 0 && float32(w) == 0 {
			return p.bad(fmt.Sprintf("%q is %s, which is 0 in float32", prefix+key, clip(string(v))), "write 0 to leave the turn out, or a larger number")
		}
		m.Weight = &w
	}
	return nil
}
