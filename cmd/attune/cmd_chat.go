package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
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
		Long: `chat reads a line, answers it and remembers the conversation. /reset forgets it, /quit (or the end of input) ends it.
Ctrl-C ends an answer; at the prompt, the chat.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runChat(cmd.Context(), s, o) },
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
	conv, turn := fresh(), uint64(0)
	take := func(ctx context.Context, line string) error {
		if line == "/reset" {
			conv = fresh()
			return nil
		}
		conv.Messages = append(conv.Messages, data.Message{Role: "user", Content: line})
		ids, err := l.text.tmpl.EncodePrompt(l.text.tok, conv, chat.EncodeOptions{})
		if err != nil {
			return err
		}
		if len(ids) >= d.Rows() {
			fmt.Fprintf(s.err, "the conversation has %d tokens, the context %d: starting anew\n", len(ids), d.Rows())
			conv = fresh()
			return nil
		}
		r, err := generate.Run(ctx, d, l.text.tok, ids, generate.Options{MaxNewTokens: o.maxNew, Stops: l.text.stops, Continue: true,
			Sampling: generate.Sampling{Temperature: o.temperature, TopP: o.topP, Seed: o.seed + turn}, OnText: func(t string) { fmt.Fprint(s.out, t) }})
		if err != nil {
			return err
		}
		turn++
		fmt.Fprintln(s.out)
		conv.Messages = append(conv.Messages, data.Message{Role: "assistant", Content: r.Text}) // as far as it came
		return nil
	}
	interrupts := make(chan os.Signal, 1)
	signal.Reset(os.Interrupt) // from here on it does not end the program
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	return converse(ctx, s, interrupts, take)
}

// converse reads lines and has each taken. An interrupt while one is taken ends only the context of that; at the prompt it
// ends the conversation, as ctx does at any time.
func converse(ctx context.Context, s streams, interrupts <-chan os.Signal, take func(context.Context, string) error) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	lines, readErr := readLines(ctx, s.in)
	for {
		fmt.Fprint(s.out, "> ")
		var line string
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-interrupts:
			fmt.Fprintln(s.out)
			return context.Canceled
		case text, ok := <-lines:
			if !ok {
				fmt.Fprintln(s.out)
				return *readErr
			}
			line = strings.TrimSpace(text)
		}
		switch line {
		case "":
			continue
		case "/quit":
			return nil
		}
		if err := takeUntil(ctx, interrupts, line, take); err != nil {
			return err
		}
	}
}

// takeUntil has a line taken until it is done or interrupted.
func takeUntil(ctx context.Context, interrupts <-chan os.Signal, line string, take func(context.Context, string) error) error {
	turn, stop := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-interrupts:
			stop()
		case <-turn.Done():
		}
	}()
	err := take(turn, line)
	stop()
	<-watching
	return errors.Join(err, ctx.Err())
}

// readLines reads beside whoever waits for more than input. The error stands once the channel is closed; a read that waits
// for its user when ctx is done ends with the program.
func readLines(ctx context.Context, in io.Reader) (<-chan string, *error) {
	lines, failed := make(chan string), new(error)
	go func() {
		defer close(lines)
		sc := bufio.NewScanner(in)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			select {
			case lines <- sc.Text():
			case <-ctx.Done():
				return
			}
		}
		*failed = sc.Err()
	}()
	return lines, failed
}

// chatWindow bounds the key/value cache of a chat, in tokens.
const chatWindow = 8192
