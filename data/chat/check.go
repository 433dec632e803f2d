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
	k, err := t.newChecker(tok, modelDir)
	if err != nil {
		return nil, err
	}
	k.roles()
	k.markers()
	k.endOfTurn()
	k.stops()
	k.generation()
	k.pad()
	k.earlierTurns()
	k.opening()
	k.thought()
	k.begin()
	k.date()
	return k.findings, nil
}

// Doubts are the findings of Check by which the template may be another model's, whatever the rows are: its markers are no
// tokens, answers do not end alike, or end where generation goes on.
func (t *Template) Doubts(tok *tokenizer.Tokenizer, modelDir string) ([]Finding, error) {
	k, err := t.newChecker(tok, modelDir)
	if err != nil {
		return nil, err
	}
	k.markers()
	k.endOfTurn()
	k.stops()
	return slices.DeleteFunc(k.findings, func(f Finding) bool { return f.Level == LevelOK }), nil
}

// checker collects findings.
type checker struct {
	t        *Template
	tok      *tokenizer.Tokenizer
	o        RenderOptions
	config   generationConfig
	end      string // the special token behind an answer; "" = none, or nothing rendered
	rendered bool   // a question and its answer
	findings []Finding
}

func (t *Template) newChecker(tok *tokenizer.Tokenizer, modelDir string) (*checker, error) {
	config, err := readGenerationConfig(modelDir)
	if err != nil {
		return nil, err
	}
	end, err := t.turnEnd(tok)
	return &checker{t: t, tok: tok, o: t.about(tok).fill(RenderOptions{}), config: config, end: end, rendered: err == nil}, nil
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

// probe gives the renderings of a probe as training makes them.
func (k *checker) probe(name string) ([]Rendering, data.Conversation, error) {
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

// roles: every kind of conversation renders, with nothing of it left out, or says what is wrong with it: once where that is
// the same for all.
func (k *checker) roles() {
	var errs []error
	same := true
	for _, p := range probes() {
		_, err := k.render(p)
		errs = append(errs, err)
		same = same && err != nil && err.Error() == errs[0].Error()
	}
	if same {
		what, do, _ := strings.Cut(errs[0].Error(), "; ")
		k.say(LevelError, "every row", do, "%s", what)
		return
	}
	for i, p := range probes() {
		what, do, level := "rendered, with nothing left out", "", LevelOK
		if err := errs[i]; err != nil {
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
