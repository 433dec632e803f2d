package tokenizer

import "slices"

// SpecialTokens lists the contents of the added tokens marked special, by id.
func (t *Tokenizer) SpecialTokens() []string { return t.contents(true) }

// PlainAddedTokens lists the contents of the added tokens that are not marked special, by id. They are part of the
// vocabulary that a text may use freely (<think>, runs of blanks), where special tokens are not.
func (t *Tokenizer) PlainAddedTokens() []string { return t.contents(false) }

func (t *Tokenizer) contents(special bool) []string {
	var ids []int32
	for id, a := range t.byID {
		if a.Special == special {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = t.byID[id].Content
	}
	return all
}
