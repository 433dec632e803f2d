package chat

import (
	"regexp"
	"slices"
	"strings"

	"attune/data/tokenizer"
)

// marker is what published templates open and close turns with.
var marker = regexp.MustCompile(`<\|[^\s<>|]{1,40}\|>|<｜[^\s<>｜]{1,40}｜>|\[/?[A-Z][A-Z_]+\]|</?(?:s|bos|eos|[a-z]+_of_[a-z]+)>`)

// turnMarkers are the names of tokens that open a turn in published vocabularies, in lower case.
var turnMarkers = []string{"im_start", "start_header_id", "start_of_turn", "start_of_turn_token", "start_of_role", "user", "assistant", "inst"}

// markers: what the template marks turns with is one token each. Plain text is right for a model that was trained so, as the
// first Mistral, Llama 2 and Zephyr were: then the template is its own, and its tokenizer has no other tokens for turns.
func (k *checker) markers() {
	const check = "markers"
	var written, plain []string
	for _, name := range []string{"user", "several turns", "system"} {
		rs, _, err := k.probe(name)
		if err != nil {
			continue
		}
		r := rs[0]
		for _, s := range subtract([]Span{{Start: 0, End: len(r.Text)}}, r.Literal) {
			for _, m := range marker.FindAllString(r.Text[s.Start:s.End], -1) {
				if !slices.Contains(written, m) {
					written = append(written, m)
				}
			}
		}
	}
	for _, m := range written {
		if enc, err := k.tok.Encode(m, tokenizer.Options{}); err != nil || len(enc.IDs) != 1 {
			plain = append(plain, m)
		}
	}
	other := slices.DeleteFunc(k.tok.SpecialTokens(), func(s string) bool {
		return slices.Contains(written, s) || !slices.Contains(turnMarkers, strings.ToLower(strings.Trim(s, "<|｜>[]")))
	})
	do := "set template to auto, or to the one the model was made for"
	if k.t.own {
		do = "take the template that the model was published with"
	}
	switch {
	case len(written) == 0:
	case len(plain) == 0:
		k.say(LevelOK, check, "", "%s: each is a token", strings.Join(written, ", "))
	case k.t.own && len(other) == 0:
		k.say(LevelOK, check, "", "%s: plain text to this tokenizer, as the model's own template has it", strings.Join(plain, ", "))
	case len(other) > 0:
		k.say(LevelWarning, check, do, "the template marks turns with %s, which are no tokens of this tokenizer; it has %s, which the template does not write", strings.Join(plain, ", "), strings.Join(other, ", "))
	default:
		k.say(LevelWarning, check, do, "the template marks turns with %s, which are no tokens of this tokenizer: the model reads them as plain text", strings.Join(plain, ", "))
	}
}
