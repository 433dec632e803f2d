package chat

import (
	"fmt"

	"attune/data"
	"attune/data/jinja"
)

// Render writes the whole conversation as the template does. Trained are the turns that can be learnt from this text:
// all that o asks for, unless the template writes an earlier turn differently when it is the last (drops its thoughts,
// say); RenderAll then gives such a turn a rendering of its own.
func (t *Template) Render(conv data.Conversation, o RenderOptions) (Rendering, error) {
	all, err := t.RenderAll(conv, o)
	if err != nil {
		return Rendering{}, err
	}
	return all[0], nil
}

// RenderAll gives the whole conversation and, behind it, one rendering for each trained turn that the whole would teach
// wrongly: the conversation cut behind that turn. With AddGenerationPrompt there is one, and nothing in it is trained.
func (t *Template) RenderAll(conv data.Conversation, o RenderOptions) ([]Rendering, error) {
	rs, err := t.renderAll(conv, o, false)
	if err != nil && callsWithoutContent(conv) {
		if again, err := t.renderAll(conv, o, true); err == nil {
			return again, nil
		}
	}
	if o.Context != nil && o.Context.Err() != nil { // whatever was made of a rendering that it ended
		return nil, o.Context.Err()
	}
	return rs, err
}

func callsWithoutContent(conv data.Conversation) bool {
	for _, m := range conv.Messages {
		if m.Content == "" && len(m.ToolCalls) > 0 {
			return true
		}
	}
	return false
}

func (t *Template) renderAll(conv data.Conversation, o RenderOptions, nullContent bool) ([]Rendering, error) {
	c, err := t.newConversation(conv, o, nullContent)
	if err != nil {
		return nil, err
	}
	whole, err := c.render(len(conv.Messages), o.AddGenerationPrompt)
	if err != nil {
		return nil, err
	}
	if err := c.checkWritten(whole); err != nil {
		return nil, err
	}
	if o.AddGenerationPrompt {
		return []Rendering{rendering(whole)}, nil
	}
	turns, err := trainedTurns(conv.Messages, o.TrainOn)
	if err != nil {
		return nil, err
	}
	work := 0
	for _, turn := range turns {
		work += 3 * (turn.index + 1)
	}
	if work > maxWork {
		return nil, fmt.Errorf("the row has %d turns, of which %d are trained, more than can be looked at one by one; cut it into several rows, or set data.train_on to last", len(conv.Messages), len(turns))
	}
	return c.train(whole, turns, c.checkThoughts)
}

// maxWork bounds the messages rendered for one row, one counted as often as it is. Each trained turn is looked at in about
// three renderings of all that stands before it, which grows with the square of the turns; a thousand turns are below this.
const maxWork = 1 << 20

func rendering(r jinja.Result) Rendering {
	return Rendering{Text: r.Text, Literal: words(r), Origins: r.Spans}
}

// train finds what is learnt of turns: in whole, a rendering of all messages, or in a rendering of its own behind it. check
// may refuse a turn by the conversation cut behind it.
func (c *conversation) train(whole jinja.Result, turns []learnt, check func(i int, own jinja.Result) error) ([]Rendering, error) {
	out := []Rendering{rendering(whole)}
	for _, turn := range turns {
		c.forget(turn.index)
		own, err := c.render(turn.index+1, false)
		if err != nil {
			return nil, fmt.Errorf("cut behind messages[%d], to see what the template writes for that turn: %w", turn.index, err)
		}
		if err := check(turn.index, own); err != nil {
			return nil, err
		}
		spans, err := c.turn(turn.index, own)
		if err != nil {
			return nil, err
		}
		if len(spans) == 0 {
			continue
		}
		if err := c.checkOwn(turn.index, own, spans); err != nil {
			return nil, err
		}
		end := spans[len(spans)-1].End
		at := &out[0]
		if len(whole.Text) < end || whole.Text[:end] != own.Text[:end] {
			out = append(out, rendering(own))
			at = &out[len(out)-1]
		}
		for _, s := range spans {
			at.Trained = append(at.Trained, TrainedSpan{Span: s, Message: turn.index, Weight: turn.weight})
		}
		if o, ok := c.unserved(turn.index, own); ok {
			at.Unserved, at.Openings = true, append(at.Openings, o)
		}
	}
	return out, nil
}

// learnt is an assistant turn to be trained.
type learnt struct {
	index  int
	weight float32
}

// trainedTurns picks the turns by train_on and by what the messages say themselves.
func trainedTurns(messages []data.Message, trainOn string) ([]learnt, error) {
	last := -1
	for i, m := range messages {
		if m.Role == "assistant" {
			last = i
		}
	}
	if trainOn != "" && trainOn != "all" && trainOn != "last" {
		return nil, fmt.Errorf("train_on is %q; set it to all or last", trainOn)
	}
	var out []learnt
	for i, m := range messages {
		train := m.Role == "assistant" && (trainOn != "last" || i == last)
		if m.Train != nil {
			train = *m.Train
		}
		weight := 1.0
		if m.Weight != nil {
			weight = *m.Weight
		}
		if !train || float32(weight) == 0 {
			continue
		}
		if m.Role != "assistant" {
			return nil, fmt.Errorf("messages[%d] says train, but its role is %s; only assistant turns can be trained", i, m.Role)
		}
		out = append(out, learnt{i, float32(weight)})
	}
	return out, nil
}
