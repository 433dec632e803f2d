package chat

import (
	"fmt"
	"slices"
	"strings"
)

// endOfTurn: the same special token stands behind each answer.
func (k *checker) endOfTurn() {
	const check = "end of turn"
	if !k.rendered {
		return // why not is said by roles
	}
	if k.end == "" {
		k.say(LevelError, check, "set template to one made for this model", "behind an answer the template writes no special token of the tokenizer, so nothing tells the model to stop")
		return
	}
	for _, name := range []string{"several turns", "thoughts", "tool calls"} {
		rs, conv, err := k.probe(name)
		if err != nil {
			continue // said by roles
		}
		for _, r := range rs {
			for _, s := range r.Trained {
				if text := r.Text[s.Start:s.End]; !strings.Contains(text, k.end) && len(conv.Messages[s.Message].ToolCalls) == 0 && s.End == turnEnds(r, s.Message) {
					k.say(LevelError, check, "set template to one that ends each answer alike", "%s: messages[%d] ends with %q, not with %s", name, s.Message, around(text, len(text)), k.end)
					return
				}
			}
		}
	}
	id, _ := k.tok.ID(k.end)
	if rs, _, err := k.probe("several turns"); err == nil {
		behind := behindEarlier(rs[0])
		switch other := k.otherEnd(behind); {
		case strings.Contains(behind, k.end):
		case k.t.own && other != "": // two ends, as gpt-oss has them
			k.say(LevelOK, check, "", "%s (id %d) stands behind the last answer, %s behind earlier ones", k.end, id, other)
			return
		default:
			k.say(LevelWarning, check, "set template to one that ends each answer alike", "%s (id %d) stands only behind the last answer: behind an earlier one the template writes %q", k.end, id, behind)
			return
		}
	}
	k.say(LevelOK, check, "", "%s (id %d) stands behind each answer", k.end, id)
}

// otherEnd is the first special token of what stands behind an earlier answer, unless it opens the next turn; "" = none.
func (k *checker) otherEnd(behind string) string {
	found := k.o.special.Find(nil, behind)
	c, err := k.t.newConversation(probes()[0].conv, k.o, false)
	if err != nil || len(found) == 0 {
		return ""
	}
	unopened, err1 := c.render(1, false)
	opened, err2 := c.render(1, true)
	token := behind[found[0].Start:found[0].End]
	if opening, ok := strings.CutPrefix(opened.Text, unopened.Text); err1 != nil || err2 != nil || !ok || opening == "" || strings.Contains(opening, token) {
		return ""
	}
	return token
}

// behindEarlier is what stands between the first answer, messages[1], and the words of the message behind it.
func behindEarlier(r Rendering) string {
	from, to := 0, len(r.Text)
	for _, s := range r.Origins {
		switch {
		case s.Field == fieldRole:
		case s.Message == 1:
			from = s.End
		case s.Message == 2 && s.Start < to:
			to = s.Start
		}
	}
	return r.Text[min(from, to):to]
}

// turnEnds is the end of the last trained span of a turn.
func turnEnds(r Rendering, message int) int {
	end := 0
	for _, s := range r.Trained {
		if s.Message == message {
			end = s.End
		}
	}
	return end
}

// stops: whoever generates is told to stop at the token that ends a turn.
func (k *checker) stops() {
	const check = "stops"
	if k.end == "" {
		return
	}
	id, _ := k.tok.ID(k.end)
	eos, eosID, ok := k.tok.EOS()
	silent, cure := "generation_config.json names no end token", fmt.Sprintf("set eos_token_id of generation_config.json to %d", id)
	if !k.config.found {
		silent, cure = "there is no generation_config.json", fmt.Sprintf(`write {"eos_token_id": %d} to generation_config.json`, id)
	}
	switch config := k.config.eos; {
	case slices.Contains(config, id):
		k.say(LevelOK, check, "", "generation_config.json stops at %s", k.end)
	case len(config) > 0:
		k.say(LevelError, check, fmt.Sprintf("add %d to eos_token_id of generation_config.json", id), "generation_config.json stops at %v, not at %d (%s), which ends a turn: other servers would go on", config, id, k.end)
	case ok && eosID == id:
		k.say(LevelOK, check, "", "%s; eos_token is %s", silent, k.end)
	case ok:
		k.say(LevelError, check, cure, "%s, and eos_token is %s (id %d), not %s (id %d), which ends a turn: other servers would go on", silent, eos, eosID, k.end, id)
	default:
		k.say(LevelError, check, cure, "%s, and no eos_token says that %s (id %d) ends a turn: other servers would go on", silent, k.end, id)
	}
}

// generation: what the template marks as the assistant's holds the end of the turn.
func (k *checker) generation() {
	const check = "{% generation %}"
	if !k.t.compiled.HasGeneration() {
		return
	}
	rs, _, err := k.probe("assistant")
	if err != nil || k.end == "" {
		return
	}
	for _, s := range rs[0].Trained {
		if strings.Contains(rs[0].Text[s.Start:s.End], k.end) {
			k.say(LevelOK, check, "", "the blocks hold %s", k.end)
			return
		}
	}
	k.say(LevelError, check, "end the block behind it", "the blocks end before %s, so the model would not learn to stop", k.end)
}
