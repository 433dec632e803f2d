package chat

import (
	"strings"

	"attune/data/tokenizer"
)

// pad: the padding token is there, and ends no turn.
func (k *checker) pad() {
	const check, do = "pad", "set pad_token in tokenizer_config.json to a token that no text uses"
	pad, id, ok := k.tok.PAD()
	eos, eosID, _ := k.tok.EOS()
	switch {
	case pad == "":
		k.say(LevelWarning, check, do, "no padding token is named; attune needs none, other trainers do")
	case !ok:
		k.say(LevelError, check, do, "pad_token %q is not in the vocabulary", pad)
	case pad == k.end:
		k.say(LevelWarning, check, do, "%s pads and ends a turn: trainers that mask padding by its id never teach the model to stop (attune masks by place)", pad)
	case eos != "" && id == eosID:
		k.say(LevelWarning, check, do, "%s pads and ends a document: trainers that mask padding by its id never teach that end (attune masks by place)", pad)
	case k.end == "":
		k.say(LevelOK, check, "", "%s (id %d) does not end a document", pad, id)
	default:
		k.say(LevelOK, check, "", "%s (id %d) ends neither a turn nor a document", pad, id)
	}
}

// earlierTurns: an answer is written the same once it is not the last.
func (k *checker) earlierTurns() {
	const check = "earlier turns"
	var changed []string
	looked := false
	for _, name := range []string{"several turns", "thoughts", "tool calls"} {
		rs, _, err := k.probe(name)
		looked = looked || err == nil && k.end != ""
		if err == nil && len(rs) > 1 {
			changed = append(changed, name)
		}
	}
	switch {
	case len(changed) > 0:
		k.say(LevelWarning, check, "", "answers are written differently once they are not the last (%s): each such turn is trained in a rendering of its own", strings.Join(changed, "; "))
	case looked:
		k.say(LevelOK, check, "", "stay as they were when they were the last")
	}
}

// opening: what generation puts before an answer is what training has there.
func (k *checker) opening() {
	const check = "generation prompt"
	looked := false
	for _, name := range []string{"assistant", "several turns", "thoughts", "tool calls"} {
		rs, _, err := k.probe(name)
		if err != nil || k.end == "" {
			continue
		}
		looked = true
		for _, r := range rs {
			if r.Unserved {
				o := r.Openings[0]
				k.say(LevelWarning, check, "set template to one whose turns begin as its prompt does", "%s: messages[%d] would be generated behind %q, but is trained behind %q", name, o.Message, o.Served, o.Trained)
				return
			}
		}
	}
	if looked {
		k.say(LevelOK, check, "", "an answer stands behind what generation would give")
	}
}

// thought: an empty thought that the template writes is known, so that it is not trained.
func (k *checker) thought() {
	const check = "empty thought"
	for _, p := range probes() {
		if p.name != "assistant" {
			continue
		}
		c, err := k.t.newConversation(p.conv, k.o, false)
		if err != nil {
			continue
		}
		r, err := c.render(2, false)
		if err != nil {
			continue
		}
		if s, ok := c.emptyThought(1, r, find(1, r)); ok {
			k.say(LevelOK, check, "", "the template writes %q before an answer without thoughts; it is never trained", r.Text[s.Start:s.End])
		} else {
			k.say(LevelOK, check, "", "none is written before an answer without thoughts")
		}
	}
}

// begin: the token that begins a text stands once before a conversation.
func (k *checker) begin() {
	const check = "begin token"
	bos, id, ok := k.tok.BOS()
	rs, _, err := k.probe("assistant")
	if err != nil || !ok {
		return
	}
	added := false
	if enc, err := k.tok.Encode("a", tokenizer.Options{AddSpecial: true}); err == nil {
		added = len(enc.IDs) > 0 && enc.IDs[0] == id
	}
	rest, written := strings.CutPrefix(rs[0].Text, bos)
	switch {
	case strings.HasPrefix(rest, bos):
		k.say(LevelError, check, "write it once", "the template writes %s twice before a conversation", bos)
	case written && added:
		k.say(LevelOK, check, "", "the template writes %s; the tokenizer would add another, so a rendering is encoded without its own tokens", bos)
	case written:
		k.say(LevelOK, check, "", "the template writes %s once", bos)
	case added:
		k.say(LevelWarning, check, "let the template begin with {{ bos_token }} if the model was trained so", "the tokenizer puts %s before a text, the template does not: a conversation begins without it", bos)
	default:
		k.say(LevelOK, check, "", "a conversation begins without %s, as a text does", bos)
	}
}

// date: a rendering that holds today's date is another one tomorrow.
func (k *checker) date() {
	if k.t.compiled.Uses("strftime_now") {
		k.say(LevelWarning, "date", "", "the template asks for today's date: a run keeps that of its first start, what is served has the day's")
		return
	}
	k.say(LevelOK, "date", "", "the same rows render the same every day")
}
