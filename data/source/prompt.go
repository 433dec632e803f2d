package source

import "attune/data"

// ParsePrompt reads the JSON object of one conversation to be answered: the schema messages with its tools and system, as
// rows to learn from have them, but that no assistant turn is needed and none after the last is left out. The error is a
// *RowError at the given position.
func ParsePrompt(at data.Position, raw []byte) (data.Conversation, error) {
	p := parser{at: at}
	c := data.Conversation{Position: at}
	if bad := p.check(raw); bad != nil {
		return c, bad
	}
	if k := kind(raw); k != "an object" {
		return c, p.bad("the conversation is "+k+", not an object", `write it as {"messages": [...]}`)
	}
	row := p.object(raw)
	var bad *RowError
	if c.Messages, bad = p.messages(row); bad != nil {
		return c, bad
	}
	if len(c.Messages) == 0 {
		return c, p.bad(`"messages" holds no turns`, "fill it in or remove the line")
	}
	if c.Tools, bad = p.tools(row, Messages); bad != nil {
		return c, bad
	}
	return c, nil
}
