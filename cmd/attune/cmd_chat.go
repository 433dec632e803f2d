package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"attune/data"
	"attune/data/chat"
	"attune/engine/generate"

	"github.com/spf13/cobra"
)

// chatOptions are the flags of `attune chat`.
type chatOptions struct {
	modelFlags
	system      string
	maxNew      int
	temperature float64
	topP        float64
	seed        uint64
	greedy      bool
}

func newChat(s streams) *cobra.Command {
	var o chatOptions
	cmd := &cobra.Command{
		Use:   "chat --model DIR",
		Short: "Talk with a model, with or without an adapter",
		Long:  `chat reads a line, answers it and remembers the conversation. /reset forgets it, /quit (or the end of input) ends it.`,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runChat(cmd.Context(), s, o) },
	}
	o.modelFlags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.system, "system", "", "system prompt")
	f.IntVar(&o.maxNew, "max-new-tokens", 512, "of one answer")
	f.Float64Var(&o.temperature, "temperature", 0.7, "0 = greedy")
	f.BoolVar(&o.greedy, "greedy", false, "always the most likely token (the same as --temperature 0)")
	f.Float64Var(&o.topP, "top-p", 0.95, "nucleus sampling")
	f.Uint64Var(&o.seed, "seed", 1, "of the sampling")
	return cmd
}

func runChat(ctx context.Context, s streams, o chatOptions) (err error) {
	if o.greedy {
		o.temperature = 0
	}
	if err := checkSampling(o.maxNew, o.temperature, o.topP); err != nil {
		return err
	}
	l, err := o.load(s.err, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if l.text.tmpl == nil {
		return l.text.noTemplate
	}
	d, err := l.session.NewDecoder(min(l.window(), chatWindow))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	fresh := func() data.Conversation {
		var c data.Conversation
		if o.system != "" {
			c.Messages = append(c.Messages, data.Message{Role: "system", Content: o.system})
		}
		return c
	}
	conv := fresh()
	sc := bufio.NewScanner(s.in)
	sc.Buffer(nil, 1<<20)
	for turn := uint64(0); ; turn++ {
		fmt.Fprint(s.out, "> ")
		if !sc.Scan() {
			fmt.Fprintln(s.out)
			return sc.Err()
		}
		line := strings.TrimSpace(sc.Text())
		switch line {
		case "":
			continue
		case "/quit":
			return nil
		case "/reset":
			conv = fresh()
			continue
		}
		conv.Messages = append(conv.Messages, data.Message{Role: "user", Content: line})
		ids, err := l.text.tmpl.EncodePrompt(l.text.tok, conv, chat.EncodeOptions{})
		if err != nil {
			return err
		}
		if len(ids) >= d.Rows() {
			fmt.Fprintf(s.err, "the conversation has %d tokens, the context %d: starting anew\n", len(ids), d.Rows())
			conv = fresh()
			continue
		}
		r, err := generate.Run(ctx, d, l.text.tok, ids, generate.Options{MaxNewTokens: o.maxNew, Stops: l.text.stops, Continue: true,
			Sampling: generate.Sampling{Temperature: o.temperature, TopP: o.topP, Seed: o.seed + turn}, OnText: func(t string) { fmt.Fprint(s.out, t) }})
		if err != nil {
			return err
		}
		fmt.Fprintln(s.out)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		conv.Messages = append(conv.Messages, data.Message{Role: "assistant", Content: r.Text})
	}
}

// chatWindow bounds the key/value cache of a chat, in tokens.
const chatWindow = 8192
