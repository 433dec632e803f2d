package main

import (
	"fmt"
	"io"

	"attune/engine/model"
	"attune/engine/peft"
	"attune/internal/config"
)

// variables are what shapes a text besides its template: rows that were rendered with others were another language.
type variables struct {
	kwargs map[string]any // further variables of the template
	system string         // the system prompt of conversations that have none
}

// What is published says which variables its rows were rendered with: template_kwargs as a run file has them, and the system
// prompt where there is one and every conversation without one was given it.
const (
	kwargsFact = "template_kwargs"
	systemFact = "system_prompt"
)

// facts are what is published of them, for a run whose rows were given the system prompt at that ratio.
func (v variables) facts(systemRatio float64) []peft.Fact {
	facts := []peft.Fact{{Name: kwargsFact, Value: config.Flow(v.kwargs)}}
	if v.system != "" && systemRatio == 1 {
		facts = append(facts, peft.Fact{Name: systemFact, Value: v.system})
	}
	return facts
}

// learned are the variables that a model, or the adapter on it, was trained with, and whose they are; "" if nobody says.
func learned(m *model.Checkpoint, a *peft.Adapter) (v variables, whose string, err error) {
	meta, whose := m.Metadata(), "model "+m.Dir
	if a != nil && a.Metadata[kwargsFact] != "" { // it was trained last
		meta, whose = a.Metadata, "adapter "+a.Dir
	}
	if meta[kwargsFact] == "" {
		return v, "", nil
	}
	v.system = meta[systemFact]
	if v.kwargs, err = config.Kwargs(kwargsFact, meta[kwargsFact]); err != nil {
		err = fmt.Errorf("%s: its metadata: %w", whose, err)
	}
	return v, whose, err
}

// asLearned gives those of v that the user has given, by their flags; the others as the model or the adapter on it was
// trained with them. It says on w which are taken, and warns of those that are given otherwise.
func (v variables) asLearned(w io.Writer, m *model.Checkpoint, a *peft.Adapter, given func(flag string) bool) (variables, error) {
	there, whose, err := learned(m, a)
	if err != nil || whose == "" {
		return v, err
	}
	was, is := config.Flow(there.kwargs), config.Flow(v.kwargs)
	switch {
	case was == is:
	case given("template-kwargs"):
		fmt.Fprintf(w, "warning: %s was trained with template_kwargs %s, here %s\n", whose, was, is)
	default:
		fmt.Fprintf(w, "%s was trained with template_kwargs %s, which are taken; --template-kwargs stands instead of them\n", whose, was)
		v.kwargs = there.kwargs
	}
	switch {
	case there.system == "" || there.system == v.system:
	case given("system"):
		fmt.Fprintf(w, "warning: %s was trained with the system prompt %q, here %q\n", whose, there.system, v.system)
	default:
		fmt.Fprintf(w, "%s was trained with the system prompt %q, which is taken; --system stands instead of it\n", whose, there.system)
		v.system = there.system
	}
	return v, nil
}

// asLearnedHelp is what the help of a command says of asLearned.
const asLearnedHelp = `Variables of the template and the system prompt are those that the adapter, or the model, was trained with, unless
flags or a run file say others.`

// asLearned settles the variables of the text, and gives the system prompt.
func (l *loaded) asLearned(w io.Writer, system string, given func(flag string) bool) (string, error) {
	v, err := variables{l.text.kwargs, system}.asLearned(w, l.model, l.adapter, given)
	l.text.kwargs = v.kwargs
	return v.system, err
}
