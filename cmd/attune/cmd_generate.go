package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"attune/data"
	"attune/data/chat"
	"attune/data/source"
	"attune/data/tokenizer"
	"attune/engine/generate"

	"github.com/spf13/cobra"
)

// generateOptions are the flags of `attune generate`.
type generateOptions struct {
	modelFlags
	samplingFlags
	prompt, prompts string
	system          string
	raw, ignoreEOS  bool
	asJSON          bool
}

func newGenerate(s streams) *cobra.Command {
	var o generateOptions
	cmd := &cobra.Command{
		Use:   "generate --model DIR --prompt TEXT",
		Short: "Answer prompts with a model, with or without an adapter",
		Long: `generate answers --prompt, or each line of --prompts: plain text, or JSON with "prompt" or "messages". The prompt goes
through the chat template as a user's turn; with --raw it is taken as it is, behind the tokenizer's own begin token. Each
prompt has random numbers of its own: the first those of --seed, the next those of --seed + 1.

` + asLearnedHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runGenerate(cmd.Context(), s, o, cmd.Flags().Changed)
		},
	}
	o.modelFlags.add(cmd)
	o.samplingFlags.add(cmd, 256)
	f := cmd.Flags()
	f.StringVar(&o.prompt, "prompt", "", "the text to answer")
	f.StringVar(&o.prompts, "prompts", "", "file with one prompt a line (- = standard input)")
	f.StringVar(&o.system, "system", "", "system prompt, for conversations that have none")
	f.BoolVar(&o.raw, "raw", false, "no chat template: the tokenizer's own begin token and the text")
	f.BoolVar(&o.ignoreEOS, "ignore-eos", false, "go on behind end-of-turn tokens")
	f.BoolVar(&o.asJSON, "json", false, "one JSON object a prompt: prompt_ids, new_ids, text, stop_reason")
	return cmd
}

func (o *generateOptions) check(prompted bool) error {
	switch {
	case prompted == (o.prompts != ""):
		return usagef("give either --prompt or --prompts")
	case o.raw && o.system != "":
		return usagef("--system goes through the chat template, which --raw leaves out; put the text into the prompt")
	}
	return o.samplingFlags.check()
}

func runGenerate(ctx context.Context, s streams, o generateOptions, given func(flag string) bool) (err error) {
	if err := o.check(given("prompt")); err != nil {
		return err
	}
	l, err := o.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if !o.raw {
		if o.system, err = l.asLearned(s.err, o.system, given); err != nil {
			return err
		}
	}
	asks := []data.Conversation{o.ask(o.prompt)}
	if o.prompts != "" {
		if asks, err = o.readPrompts(s.in); err != nil {
			return err
		}
	}
	var prompts [][]int32
	longest := 0
	for _, c := range asks {
		ids, err := o.ids(ctx, l.text, c)
		if err == nil {
			err = l.text.known(ids, l.model)
		}
		if err != nil {
			return err
		}
		prompts = append(prompts, ids)
		longest = max(longest, len(ids))
	}
	if longest > l.window() {
		return usagef("the longest prompt has %d tokens, the model's context %d", longest, l.window())
	}
	rows := longest + min(o.maxNew, l.window()-longest)
	d, err := l.decoder(rows, longest, "take a smaller model, or a smaller --max-new-tokens")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	g := generate.Options{MaxNewTokens: o.maxNew, Stops: l.text.stops}
	if o.ignoreEOS {
		g.Stops = nil
	}
	w := bufio.NewWriter(s.out)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !o.asJSON {
		g.OnText = func(t string) {
			_, _ = w.WriteString(t) // the error stays in w until the last Flush
			if w.Flush() != nil {
				cancel() // nobody reads on
			}
		}
	}
	for i, ids := range prompts {
		g.Sampling = o.sampling(i)
		r, err := generate.Run(ctx, d, l.text.tok, ids, g)
		if err != nil {
			return err
		}
		if o.asJSON {
			e := json.NewEncoder(w)
			e.SetEscapeHTML(false)
			if err := e.Encode(r); err != nil {
				return err
			}
		} else {
			_ = w.WriteByte('\n')
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// ask is a prompt as a conversation.
func (o *generateOptions) ask(prompt string) data.Conversation {
	var c data.Conversation
	if o.raw {
		c.Text = prompt
		return c
	}
	c.Messages = []data.Message{{Role: "user", Content: prompt}}
	return c
}

// readPrompts reads one prompt a line.
func (o *generateOptions) readPrompts(stdin io.Reader) ([]data.Conversation, error) {
	r := stdin
	if o.prompts != "-" {
		f, err := os.Open(o.prompts)
		if err != nil {
			return nil, usagef("open prompts: %w", err)
		}
		defer f.Close()
		r = f
	}
	var asks []data.Conversation
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, source.MaxRow)
	for line := 1; sc.Scan(); line++ {
		text := strings.TrimSpace(sc.Text())
		if text == "" {
			continue
		}
		c, err := o.promptLine(data.Position{File: o.prompts, Line: line}, text)
		if err != nil {
			return nil, asUsage(err)
		}
		asks = append(asks, c)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read prompts: %w", err)
	}
	if len(asks) == 0 {
		return nil, usagef("%s holds no prompt", o.prompts)
	}
	return asks, nil
}

// promptLine is plain text, a JSON string, or an object with prompt or with messages and what goes with them in rows.
func (o *generateOptions) promptLine(at data.Position, text string) (data.Conversation, error) {
	var plain string
	if strings.HasPrefix(text, `"`) && json.Unmarshal([]byte(text), &plain) == nil {
		return o.ask(plain), nil
	}
	if !strings.HasPrefix(text, "{") {
		return o.ask(text), nil
	}
	var row struct {
		Prompt   *string         `json:"prompt"`
		Messages json.RawMessage `json:"messages"`
	}
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		return data.Conversation{}, fmt.Errorf("%s:%d: %w", at.File, at.Line, err)
	}
	switch {
	case row.Prompt != nil && row.Messages != nil:
		return data.Conversation{}, fmt.Errorf(`%s:%d: both "prompt" and "messages" in it; remove one`, at.File, at.Line)
	case row.Prompt != nil:
		return o.ask(*row.Prompt), nil
	case row.Messages == nil:
		return data.Conversation{}, fmt.Errorf(`%s:%d: neither "prompt" nor "messages" in it`, at.File, at.Line)
	case o.raw:
		return data.Conversation{}, fmt.Errorf(`%s:%d: "messages" go through the chat template, which --raw leaves out; write "prompt"`, at.File, at.Line)
	}
	return source.ParsePrompt(at, []byte(text))
}

// ids encodes one prompt.
func (o *generateOptions) ids(ctx context.Context, t *text, c data.Conversation) ([]int32, error) {
	if o.raw {
		e, err := t.tok.Encode(c.Text, tokenizer.Options{AddSpecial: true})
		return e.IDs, err
	}
	if t.tmpl == nil {
		return nil, t.noTemplate
	}
	return t.tmpl.EncodePrompt(t.tok, c, chat.RenderOptions{System: o.system, Kwargs: t.kwargs, Context: ctx})
}
