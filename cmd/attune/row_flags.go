package main

import (
	"slices"

	"attune/data/chat"
	"attune/data/source"
	"attune/internal/config"

	"github.com/spf13/cobra"
)

// textFlags are the flags of every command that needs what stands between a model and words.
type textFlags struct{ model, template, kwargs string }

func (f *textFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.model, "model", "", "Hugging Face model directory")
	fs.StringVar(&f.template, "template", "auto", "auto = the model's own, a .jinja file, or chatml | zephyr | llama3 | alpaca")
	fs.StringVar(&f.kwargs, "template-kwargs", "", "further variables of the chat template, as in '{\"enable_thinking\": false}'")
}

// rowFlags are the flags of every command that makes examples of rows as a run does: a run file, and flags that stand
// instead of single settings.
type rowFlags struct {
	runFile    string
	format     string
	system     string
	trainOn    string
	maxLength  int
	overlength string
	cfg        config.Config // of the run file, or the defaults, with the flags over them; see settle
}

// add adds the flags of a command whose rows are named by what format is the schema of.
func (f *rowFlags) add(cmd *cobra.Command, rows string) {
	d, fs := config.Default(), cmd.Flags()
	fs.StringVarP(&f.runFile, "config", "c", "", "run file to take the settings and rows from")
	fs.StringVar(&f.format, "format", "auto", "schema of "+rows)
	fs.StringVar(&f.system, "system", "", "system prompt of rows that have none")
	fs.StringVar(&f.trainOn, "train-on", d.Data.TrainOn, "assistant turns that are trained: all or last")
	fs.IntVar(&f.maxLength, "max-length", d.Data.MaxLength, "longest example, in tokens")
	fs.StringVar(&f.overlength, "overlength", d.Data.Overlength, "what happens to a longer one: error, truncate, split or drop")
}

// settle lays the flags that were given over the run file's settings, or their defaults.
func (f *rowFlags) settle(t *textFlags, given func(flag string) bool) (err error) {
	f.cfg = config.Default()
	if f.runFile != "" {
		if f.cfg, err = config.Load(f.runFile, nil); err != nil {
			return err
		}
	}
	c := &f.cfg
	lay(given("model"), &t.model, &c.Model)
	lay(given("template"), &t.template, &c.Template)
	lay(given("system"), &f.system, &c.System)
	lay(given("train-on"), &f.trainOn, &c.Data.TrainOn)
	lay(given("max-length"), &f.maxLength, &c.Data.MaxLength)
	lay(given("overlength"), &f.overlength, &c.Data.Overlength)
	if given("template-kwargs") {
		c.TemplateKwargs, err = config.Kwargs("template-kwargs", t.kwargs)
	}
	return err
}

// lay has a flag that was given overrule the setting, and otherwise the setting fill in the flag.
func lay[T any](given bool, flag, setting *T) {
	if given {
		*setting = *flag
	} else {
		*flag = *setting
	}
}

func (f *rowFlags) check() error {
	policies := []chat.Policy{chat.Refuse, chat.Truncate, chat.Split, chat.Drop}
	switch {
	case !slices.Contains(source.Formats(), f.format):
		return usagef("--format %q; there are %v", f.format, source.Formats())
	case f.trainOn != "all" && f.trainOn != "last":
		return usagef("--train-on %q; there are all, last", f.trainOn)
	case !slices.Contains(policies, chat.Policy(f.overlength)):
		return usagef("--overlength %q; there are %v", f.overlength, policies)
	case f.maxLength < 8:
		return usagef("--max-length %d; it must be at least 8", f.maxLength)
	}
	return nil
}

// names are what the user has to change where rows are too long: flags, or keys of the run file.
func (f *rowFlags) names() chat.Names {
	if f.runFile != "" {
		return chat.Names{}.OrKeys()
	}
	return chat.Names{MaxLength: "--max-length", Overlength: "--overlength"}
}
