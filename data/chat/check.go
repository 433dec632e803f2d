package chat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"attune/data"
	"attune/data/tokenizer"
)

// Finding is one thing that Check looked at.
type Finding struct {
	Level string `json:"level"` // ok, warning or error
	Check string `json:"check"` // what was looked at
	What  string `json:"what"`
	Do    string `json:"do,omitempty"` // the cure
}

// The levels of a Finding. A warning is what one should know; after an error a model would be taught or served wrongly.
const (
	LevelOK      = "ok"
	LevelWarning = "warning"
	LevelError   = "error"
)

// Check looks at a model directory's template (or the one that setting names, see Resolve) as training and serving will
// use it: which conversations it renders, how an answer ends and begins, and what the tokenizer and
// generation_config.json say of the same tokens. The error is about files that cannot be read.
func Check(modelDir, setting string) ([]Finding, error) {
	tok, err := tokenizer.Load(modelDir)
	if err != nil {
		return nil, err
	}
	t, err := Resolve(setting, modelDir)
	if err != nil {
		return nil, err
	}
	stops, err := generationStops(modelDir)
	if err != nil {
		return nil, err
	}
	k := &checker{t: t, tok: tok, o: t.about(tok).fill(RenderOptions{}), end: t.turnEnd(tok)}
	k.roles()
	k.endOfTurn()
	k.stops(stops)
	k.generation()
	k.pad()
	k.earlierTurns()
	k.opening()
	k.thought()
	k.begin()
	k.date()
	return k.findings, nil
}

// checker collects findings.
type checker struct {
	t        *Template
	tok      *tokenizer.Tokenizer
	o        RenderOptions
	end      string // the special token behind an answer
	findings []Finding
}

func (k *checker) say(level, check, do, format string, args ...any) {
	k.findings = append(k.findings, Finding{Level: level, Check: check, What: fmt.Sprintf(format, args...), Do: do})
}

// probe is a conversation that shows what a template does with one kind of row.
type probe struct {
	name string
	conv data.Conversation
	// usual rows are what a template must render; others it may refuse, and rows of that kind are refused with it.
	usual bool
}

func probes() []probe {
	user := func(s string) data.Message { return data.Message{Role: "user", Content: s} }
	answer := func(s string) data.Message { return data.Message{Role: "assistant", Content: s} }
	system := data.Message{Role: "system", Content: "Be brief."}
	thinking := func(thought, s string) data.Message {
		return data.Message{Role: "assistant", Content: s, ReasoningContent: thought}
	}
	talk := func(m ...data.Message) data.Conversation { return data.Conversation{Messages: m} }
	tools := func(arguments string) data.Conversation {
		call := json.RawMessage(`[{"id": "call12345", "type": "function", "function": {"name": "weather", "arguments": ` + arguments + `}}]`)
		c := talk(user("How warm is it in Oslo?"), data.Message{Role: "assistant", ToolCalls: call},
			data.Message{Role: "tool", Content: "14 degrees", Name: "weather", ToolCallID: "call12345"}, answer("It is 14 degrees."))
		c.Tools = json.RawMessage(`[{"type": "function", "function": {"name": "weather", "description": "Tells the weather.", ` +
			`"parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "A city."}}, "required": ["city"]}}}]`)
		return c
	}
	return []probe{
		{"user", talk(user("One?")), true},
		{"assistant", talk(user("One?"), answer("Yes, one.")), true},
		{"several turns", talk(user("One?"), answer("Yes, one."), user("Two?"), answer("No, not two.")), true},
		{"system", talk(system, user("One?"), answer("Yes, one.")), false},
		{"system in the middle", talk(user("One?"), answer("Yes, one."), system, user("Two?"), answer("No.")), false},
		{"two users in a row", talk(user("One?"), user("Or two?"), answer("Yes, one.")), false},
		{"thoughts", talk(user("One?"), thinking("It may be one.", "Yes, one."), user("Two?"), thinking("It is not two.", "No.")), false},
		{"tool calls", tools(`{"city": "Oslo"}`), false},
		{"tool calls, arguments as text", tools(`"{\"city\": \"Oslo\"}"`), false},
	}
}

// rendered gives the renderings of a probe as training makes them.
func (k *checker) rendered(name string) ([]Rendering, data.Conversation, error) {
	for _, p := range probes() {
		if p.name == name {
			rs, err := k.render(p)
			return rs, p.conv, err
		}
	}
	return nil, data.Conversation{}, fmt.Errorf("no probe %q", name)
}

func (k *checker) render(p probe) ([]Rendering, error) {
	if k.end == "" { // one complaint about that is enough
		for i := range p.conv.Messages {
			p.conv.Messages[i].Train = new(bool)
		}
	}
	o := k.o
	o.AddGenerationPrompt = p.conv.Messages[len(p.conv.Messages)-1].Role != "assistant"
	return k.t.RenderAll(p.conv, o)
}

// roles: every kind of conversation renders, with nothing of it left out, or says what is wrong with it.
func (k *checker) roles() {
	for _, p := range probes() {
		what, do, level := "rendered, with nothing left out", "", LevelOK
		if _, err := k.render(p); err != nil {
			what, do, _ = strings.Cut(err.Error(), "; ")
			if level = LevelWarning; p.usual {
				level = LevelError
			} else {
				what += " (rows like this are refused)"
			}
		}
		k.say(level, p.name, do, "%s", what)
	}
}

// endOfTurn: the same special token stands behind each answer.
func (k *checker) endOfTurn() {
	const check = "end of turn"
	if k.end == "" {
		k.say(LevelError, check, "set template to one made for this model", "behind an answer the template writes no special token of the tokenizer, so nothing tells the model to stop")
		return
	}
	for _, name := range []string{"several turns", "thoughts", "tool calls"} {
		rs, conv, err := k.rendered(name)
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
	k.say(LevelOK, check, "", "%s (id %d) stands behind each answer", k.end, id)
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
func (k *checker) stops(config []int32) {
	const check = "stops"
	if k.end == "" {
		return
	}
	id, _ := k.tok.ID(k.end)
	eos, eosID, ok := k.tok.EOS()
	switch {
	case slices.Contains(config, id):
		k.say(LevelOK, check, "", "generation_config.json stops at %s", k.end)
	case len(config) > 0:
		k.say(LevelError, check, fmt.Sprintf("add %d to eos_token_id of generation_config.json", id), "generation_config.json stops at %v, not at %d (%s), which ends a turn: other servers would go on", config, id, k.end)
	case ok && eosID == id:
		k.say(LevelOK, check, "", "generation_config.json names no end token; eos_token is %s", k.end)
	default:
		k.say(LevelError, check, fmt.Sprintf("set eos_token_id of generation_config.json to %d", id), "neither generation_config.json nor eos_token (%q) says that %s ends a turn: other servers would go on", eos, k.end)
	}
}

// generation: what the template marks as the assistant's holds the end of the turn.
func (k *checker) generation() {
	const check = "{% generation %}"
	if !k.t.compiled.HasGeneration() {
		return
	}
	rs, _, err := k.rendered("assistant")
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
