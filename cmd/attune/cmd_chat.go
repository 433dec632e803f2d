package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"attune/data"
	"attune/data/chat"
	"attune/engine/generate"
	"attune/engine/session"

	"github.com/spf13/cobra"
)

// chatOptions are the flags of `attune chat`.
type chatOptions struct {
	modelFlags
	samplingFlags
	system string
}

func newChat(s streams) *cobra.Command {
	var o chatOptions
	cmd := &cobra.Command{
		Use:   "chat --model DIR",
		Short: "Talk with a model, with or without an adapter",
		Long: `chat reads a line, answers it and remembers the conversation. /reset forgets it, /quit (or the end of input) ends it.
Ctrl-C ends an answer; at the prompt, the chat.

` + asLearnedHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runChat(cmd.Context(), s, o, cmd.Flags().Changed) },
	}
	o.modelFlags.add(cmd)
	o.samplingFlags.add(cmd, 512)
	cmd.Flags().StringVar(&o.system, "system", "", "system prompt of the conversation")
	return cmd
}

func runChat(ctx context.Context, s streams, o chatOptions, given func(flag string) bool) (err error) {
	if err := o.samplingFlags.check(); err != nil {
		return err
	}
	l, err := o.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if l.text.tmpl == nil {
		return l.text.noTemplate
	}
	if o.system, err = l.asLearned(s.err, o.system, given); err != nil {
		return err
	}
	rows := min(l.window(), chatWindow)
	d, err := l.decoder(rows, rows, "take a smaller model")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	t := &talk{s: s, o: o, l: l, d: d}
	t.reset()
	interrupts := make(chan os.Signal, 1)
	signal.Reset(os.Interrupt) // from here on it does not end the program
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	return converse(ctx, s, interrupts, t.take)
}

// talk is a conversation with a model.
type talk struct {
	s        streams
	o        chatOptions
	l        *loaded
	d        *session.Decoder
	messages []data.Message
	turns    int // answered, of all conversations
}

// reset forgets the conversation.
func (t *talk) reset() {
	t.messages = nil
	if t.o.system != "" {
		t.messages = []data.Message{{Role: "system", Content: t.o.system}}
	}
}

// take answers a line, or does what it says. What cannot be answered is said, and not remembered.
func (t *talk) take(ctx context.Context, line string) error {
	if line == "/reset" {
		t.reset()
		return nil
	}
	before := t.messages
	ids, err := t.ask(ctx, line)
	if err == nil && len(ids) >= t.d.Rows() {
		long := len(ids)
		t.reset()
		if ids, err = t.ask(ctx, line); err == nil && len(ids) < t.d.Rows() {
			fmt.Fprintf(t.s.err, "the conversation has %d tokens, the context %d: starting anew with this line\n", long, t.d.Rows())
		}
	}
	switch {
	case err != nil:
		return err
	case len(ids) >= t.d.Rows():
		fmt.Fprintf(t.s.err, "the line alone has %d tokens, the context %d: write a shorter one\n", len(ids), t.d.Rows())
		t.messages = before
		return nil
	}
	if err := t.l.text.known(ids, t.l.model); err != nil {
		fmt.Fprintln(t.s.err, err)
		t.messages = before
		return nil
	}
	r, err := generate.Run(ctx, t.d, t.l.text.tok, ids, generate.Options{MaxNewTokens: t.o.maxNew, Stops: t.l.text.stops, Continue: true,
		Sampling: t.o.sampling(t.turns), OnText: func(text string) { fmt.Fprint(t.s.out, text) }})
	if err != nil {
		return err
	}
	fmt.Fprintln(t.s.out)
	if r.StopReason == generate.StopFull {
		fmt.Fprintf(t.s.err, "the answer ends where the context of %d tokens does\n", t.d.Rows())
	}
	t.turns++
	t.messages = append(t.messages, data.Message{Role: "assistant", Content: r.Text}) // as far as it came
	return nil
}

// ask adds a line to the conversation and gives the ids of all of it, up to where the answer begins.
func (t *talk) ask(ctx context.Context, line string) ([]int32, error) {
	t.messages = append(slices.Clip(t.messages), data.Message{Role: "user", Content: line})
	return t.l.text.tmpl.EncodePrompt(t.l.text.tok, data.Conversation{Messages: t.messages}, chat.RenderOptions{Kwargs: t.l.text.kwargs, Context: ctx})
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
