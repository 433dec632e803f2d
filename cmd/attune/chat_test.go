package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"attune/engine/model"
)

func TestChatOverAPipe(t *testing.T) {
	dir := taught(t)
	o := invoke(t.Context(), "Say one.\n/reset\n\nSay two.\n/quit\nSay one.\n", "chat", "--model", dir, "--temperature", "0", "--dtype", "float32")
	if o.code != exitOK || o.stdout != "> One!\n> > > Two, dear.\nTwo.\n> " {
		t.Errorf("exit code %d, said %q\n%s", o.code, o.stdout, o.stderr)
	}
	o = invoke(t.Context(), "Say one.", "chat", "--model", dir, "--temperature", "0", "--dtype", "float32")
	if o.code != exitOK || o.stdout != "> One!\n> \n" {
		t.Errorf("at the end of its input: exit code %d, said %q\n%s", o.code, o.stdout, o.stderr)
	}
}

// An interrupt ends the answer it falls into and no more; the next, at the prompt, ends the chat.
func TestInterruptsOfAChat(t *testing.T) {
	in, user := io.Pipe()
	defer in.Close()
	interrupts := make(chan os.Signal, 1)
	var out strings.Builder
	var taken []string
	err := make(chan error)
	waiting := make(chan struct{})
	go func() {
		err <- converse(t.Context(), streams{in: in, out: &out, err: io.Discard}, interrupts, func(ctx context.Context, line string) error {
			taken = append(taken, line)
			waiting <- struct{}{}
			if line == "long" {
				<-ctx.Done()
			}
			return nil
		})
	}()
	fmt.Fprintln(user, "long")
	<-waiting
	interrupts <- os.Interrupt
	fmt.Fprintln(user, "short") // read only at the next prompt
	<-waiting
	fmt.Fprintln(user, "")
	fmt.Fprintln(user, "") // read once the line before it was taken at the prompt, so the answer is over
	interrupts <- os.Interrupt
	if e := <-err; exitCode(e) != exitInterrupted {
		t.Errorf("ended with %v", e)
	}
	if strings.Join(taken, " ") != "long short" || !strings.HasPrefix(out.String(), "> > > ") {
		t.Errorf("took %q, said %q", taken, out.String())
	}
}

// A conversation that outgrows the context is begun anew with the line that was too much: it is answered as if it were the
// first. A line that is too long alone is refused, and the conversation goes on.
func TestChatBeyondTheContext(t *testing.T) {
	dir := smallModel(t, model.NewOptions{MaxPositionEmbeddings: 128, Untied: true})
	said := func(lines ...string) (answers []string, stderr string) {
		t.Helper()
		o := invoke(t.Context(), strings.Join(lines, "\n"), "chat", "--model", dir, "--dtype", "float32", "--greedy", "--max-new-tokens", "12", "--system", "Be brief.")
		if o.code != exitOK {
			t.Fatalf("exit code %d\n%s", o.code, o.stderr)
		}
		answers = strings.Split(o.stdout, "\n> ")
		return answers[:len(answers)-1], o.stderr
	}
	alone, stderr := said("the last line")
	if stderr != "" || len(alone) != 1 || strings.TrimPrefix(alone[0], "> ") == "" {
		t.Fatalf("said %q, and %q", alone, stderr)
	}
	told := regexp.MustCompile(`the conversation has (\d+) tokens, the context 128: starting anew with this line\n`)
	for n := 1; n < 6; n++ { // so many lines before the last one make it too much
		lines := []string{"one", "two", "three", "four", "five"}[:n]
		answers, stderr := said(append(lines, "the last line")...)
		if len(answers) != n+1 {
			t.Fatalf("%d lines have the answers %q\n%s", n+1, answers, stderr)
		}
		if m := told.FindAllString(stderr, -1); len(m) == 0 {
			continue
		} else if len(m) > 1 {
			t.Errorf("%d lines: %s", n+1, stderr)
		}
		if got := answers[n]; got != strings.TrimPrefix(alone[0], "> ") {
			t.Errorf("begun anew it says %q, asked alone %q", got, alone[0])
		}
		return
	}
	t.Error("six lines fit a context of 128 tokens")
}

func TestChatRefusesALineThatIsTooLong(t *testing.T) {
	dir := smallModel(t, model.NewOptions{MaxPositionEmbeddings: 128, Untied: true})
	chat := func(lines ...string) outcome {
		return invoke(t.Context(), strings.Join(lines, "\n"), "chat", "--model", dir, "--dtype", "float32", "--greedy", "--max-new-tokens", "4")
	}
	with, without := chat("one", strings.Repeat("long ", 40), "two"), chat("one", "two")
	if with.code != exitOK || !strings.Contains(with.stderr, "the line alone has") || strings.Count(with.stderr, "\n") != 1 {
		t.Errorf("exit code %d: %s", with.code, with.stderr)
	}
	if want := without.stdout; strings.Replace(with.stdout, "> > ", "> ", 1) != want {
		t.Errorf("with a line too long it says %q, without %q", with.stdout, want)
	}
	if full := invoke(t.Context(), strings.Repeat("a", 90), "chat", "--model", dir, "--dtype", "float32", "--greedy", "--max-new-tokens", "100"); !strings.Contains(full.stderr, "the answer ends where the context of 128 tokens does") {
		t.Errorf("exit code %d: %q", full.code, full.stderr)
	}
}
