package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"attune/data/chat"
	"attune/data/jinja"

	"github.com/spf13/cobra"
)

func newTemplate(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "template", Short: "Render chat templates, or check a model's", Args: knownCommand, RunE: showHelp}
	cmd.AddCommand(newTemplateRender(s), newTemplateCheck(s))
	return cmd
}

func newTemplateRender(s streams) *cobra.Command {
	var template string
	var jsonl bool
	cmd := &cobra.Command{
		Use:   "render --template FILE --jsonl",
		Short: "Render conversations as transformers' apply_chat_template does, byte for byte",
		Long: `render reads a JSON object from standard input and prints the text; with --jsonl it reads one a line and answers each with
a line: {"text": ...}, or {"error": ...} where the template refuses the conversation (its own words) or cannot render it.

Keys: conversation (the messages), tools, add_generation_prompt, bos_token and eos_token (absent or null = not defined),
kwargs (further variables), now (what the clock says, as 2025-03-14T09:26:53; absent = the clock).

A line that is no such object is answered by what is wrong with it; the exit code is 3 then, once the others are answered.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := namedTemplate(template)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if jsonl {
				return answerLines(ctx, s, func(a *asks, line []byte) (any, error) { return renderLine(ctx, t, a, line) })
			}
			return renderOne(ctx, s, t)
		},
	}
	cmd.Flags().StringVar(&template, "template", "", "a .jinja file, a model directory, or "+strings.Join(chat.Builtins(), " | "))
	cmd.Flags().BoolVar(&jsonl, "jsonl", false, "one JSON object a line, and an answer a line")
	return cmd
}

// namedTemplate is a builtin template, a model directory's own, or that of a file.
func namedTemplate(name string) (*chat.Template, error) {
	if name == "" {
		return nil, usagef("no template; give one with --template FILE, or one of %s", strings.Join(chat.Builtins(), ", "))
	}
	if slices.Contains(chat.Builtins(), name) {
		return chat.Builtin(name)
	}
	from := chat.FromFile
	if isDirectory(name) == nil {
		from = chat.FromModel
	}
	t, err := from(name)
	return t, asUsage(err)
}

// rendered is the answer to a line.
type rendered struct {
	Text string `json:"text"`
}

// clockForm is how a conversation gives the time, without a zone.
const clockForm = "2006-01-02T15:04:05"

// renderLine renders what one line asks for. The error is about the line; what the template says is an answer.
func renderLine(ctx context.Context, t *chat.Template, a *asks, line []byte) (any, error) {
	in := chat.Input{Context: ctx}
	var now *string
	known := fields{"conversation": &in.Conversation, "tools": &in.Tools, "add_generation_prompt": &in.AddGenerationPrompt,
		"bos_token": &in.BOS, "eos_token": &in.EOS, "kwargs": &in.Kwargs, "now": &now}
	if err := a.read(line, known); err != nil {
		return nil, err
	}
	if in.Conversation == nil {
		return nil, errors.New(`there is no "conversation" in it`)
	}
	if now != nil {
		var err error
		if in.Now, err = time.Parse(clockForm, *now); err != nil {
			return nil, fmt.Errorf(`"now": %q is no time of the form %s`, *now, clockForm)
		}
	}
	r, err := t.RenderJSON(in)
	var refused *jinja.Error
	switch {
	case errors.As(err, &refused) && refused.Kind == jinja.Raised:
		return lineError{refused.Msg}, nil
	case refused != nil:
		return lineError{refused.Error()}, nil
	case err != nil:
		return nil, err
	}
	return rendered{r.Text}, nil
}

// renderOne prints the rendering of the one object on standard input.
func renderOne(ctx context.Context, s streams, t *chat.Template) error {
	raw, err := io.ReadAll(s.in)
	if err != nil {
		return fmt.Errorf("read %s: %w", stdinName, err)
	}
	a := &asks{s: s, line: 1, unknown: map[string]bool{}}
	if len(raw) == 0 || !json.Valid(raw) {
		return a.complain(errors.New(`it is no JSON object with a "conversation"; give several, one a line, with --jsonl`))
	}
	answer, err := renderLine(ctx, t, a, raw)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return a.complain(err)
	}
	if e, no := answer.(lineError); no {
		return errors.New(e.Error)
	}
	_, err = io.WriteString(s.out, answer.(rendered).Text)
	return err
}

func newTemplateCheck(s streams) *cobra.Command {
	var template string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "Tell what training and serving make of a model directory's chat template",
		Long: `check looks at a model directory's chat template (or another with --template): which kinds of rows it renders whole, whether
the end-of-turn token follows each answer, is among the tokens that generation stops at and differs from the padding token,
whether earlier turns stay as they were, whether an answer is trained behind what generation puts before it.

A warning is what one should know; where a model would be taught or served wrongly it is an error, and the exit code 1.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("template check takes the model directory, got %q", args)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return runTemplateCheck(s, args[0], template, asJSON) },
	}
	cmd.Flags().StringVar(&template, "template", "auto", "auto = the model's own, a .jinja file, or "+strings.Join(chat.Builtins(), " | "))
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON: a list of level, check, what, do")
	return cmd
}

func runTemplateCheck(s streams, dir, template string, asJSON bool) error {
	if err := isDirectory(dir); err != nil {
		return err
	}
	found, err := chat.Check(dir, template)
	if err != nil {
		return err
	}
	if asJSON {
		err = writeJSON(s.out, found)
	} else {
		err = printFindings(s.out, found)
	}
	wrong := 0
	for _, f := range found {
		if f.Level == chat.LevelError {
			wrong++
		}
	}
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%d of %d checks failed", wrong, len(found))
	}
	return err
}

// isDirectory refuses a name that is none.
func isDirectory(path string) error {
	if st, err := os.Stat(path); err != nil || !st.IsDir() {
		return usagef("%s is not a directory", path)
	}
	return nil
}

// printFindings prints a finding a line, with its cure on the next.
func printFindings(w io.Writer, found []chat.Finding) error {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%-7s  %-30s  %s\n", f.Level, f.Check, f.What)
		if f.Do != "" {
			fmt.Fprintf(&b, "%41s  %s\n", "", f.Do)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
