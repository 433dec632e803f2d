// Command attune teaches open-weight language models to follow instructions: it reads instruction rows, trains a LoRA
// adapter or all weights, judges the result and writes it where others can load it. One file a command; this one lists
// them and decides the exit code.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"attune/internal/disk"

	"github.com/spf13/cobra"
)

// Exit codes, as every command's help names them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2 // wrong use or run file
	exitData        = 3 // bad rows
	exitDevice      = 4 // no such device or not enough memory
	exitInterrupted = 130
)

// streams are where a command reads and writes; tests give their own.
type streams struct {
	in       io.Reader
	out, err io.Writer
	fs       func(runDir *os.Root) disk.FS // through which a run directory is written
}

func main() { os.Exit(process(disk.In)) }

// process is the program with what a process has around it: its arguments, streams and signals.
func process(fs func(runDir *os.Root) disk.FS) int {
	ctx, stop := untilSignal()
	defer stop()
	return run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, fs: fs})
}

// run is the whole program without the process around it.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(s.err, "attune: interrupted")
	case errors.Is(err, syscall.EPIPE): // nobody reads what the command prints, as behind | head: nothing to complain of
	case err != nil:
		fmt.Fprintln(s.err, "attune:", harmless(err.Error()))
	}
	return code
}

// harmless is a text, some of which may come from a file, without what a terminal would obey.
func harmless(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "attune",
		Short: "Teach an open-weight language model to follow instructions",
		Long: `attune reads instruction rows, trains a LoRA adapter or all weights, judges the result and writes it.

Exit codes: 0 done; 1 failed; 2 wrong use or run file; 3 bad data; 4 no such device or not enough memory;
130 interrupted, state saved.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          showHelp,
		Version:       readBuildInfo().String(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(
		newInit(s),
		newConfig(s),
		newData(s),
		newPlan(s),
		newTrain(s),
		newVerifyResume(s),
		newEval(s),
		newGenerate(s),
		newChat(s),
		newTemplate(s),
		newTokenize(s),
		newNewModel(s),
		newBench(s),
		newDoctor(s),
		newVersion(s),
	)
	return root
}

// usageError marks a command line or run file that cannot be run.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, a ...any) error { return &usageError{fmt.Errorf(format, a...)} }

// asUsage marks an error of a setting that only shows when it is used.
func asUsage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

// knownCommand refuses what no subcommand of cmd is called, with the nearest ones.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s has no command %q%s; see %s --help", cmd.CommandPath(), args[0], hint, cmd.CommandPath())
}

// showHelp is what a command does that only has subcommands.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noArgs refuses arguments where a command takes none, as a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q; see %s --help", cmd.CommandPath(), args, cmd.CommandPath())
	}
	return nil
}

// isUsage reports whether err is a usageError.
func isUsage(err error) bool {
	var u *usageError
	return errors.As(err, &u)
}
