package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"attune/internal/disk"
	"attune/internal/ptytest"
)

// holdRename in the environment of the program makes it say "held" where something in run_dir would get this name, and wait
// there for a file named release.
const (
	holdRename = "ATTUNE_TEST_HOLD_RENAME"
	release    = "release"
)

// held is the program's files for such a test.
type held struct{ disk.FS }

func (h held) Rename(from, to string) error {
	if to == os.Getenv(holdRename) {
		fmt.Fprintln(os.Stderr, "held")
		for _, err := h.Lstat(release); err != nil; _, err = h.Lstat(release) {
			time.Sleep(time.Millisecond)
		}
	}
	return h.FS.Rename(from, to)
}

// ending is a run in a process of its own.
type ending struct {
	t *testing.T
	*exec.Cmd
	lines *bufio.Scanner // of what it prints, or of what the terminal shows
	read  io.Closer
	said  strings.Builder
}

// ignoring is the program started with SIGHUP and SIGINT ignored, as nohup and the & of a script do it.
func ignoring(cmd *exec.Cmd) {
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `trap "" HUP INT; exec "$0" "$@"`}, cmd.Args...)
}

// start runs cmd with standard output and error into a pipe.
func start(t *testing.T, cmd *exec.Cmd) *ending {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	e := &ending{t: t, Cmd: cmd, lines: bufio.NewScanner(r), read: r}
	err = cmd.Start()
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return e
}

// startOnTerminal runs cmd with a terminal of its own.
func startOnTerminal(t *testing.T, cmd *exec.Cmd) *ending {
	t.Helper()
	other, tty := ptytest.Pair(t, 120)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	e := &ending{t: t, Cmd: cmd, lines: bufio.NewScanner(other), read: other}
	err := cmd.Start()
	if err := errors.Join(err, tty.Close()); err != nil {
		t.Fatal(err)
	}
	return e
}

// until reads what the run prints until it prints text.
func (e *ending) until(text string) {
	e.t.Helper()
	for e.lines.Scan() {
		e.said.WriteString(e.lines.Text() + "\n")
		if strings.Contains(e.lines.Text(), text) {
			return
		}
	}
	e.t.Fatalf("%q is not in\n%s", text, e.said.String())
}

// rest reads on while the run goes to its end, so that it never waits for a reader.
func (e *ending) rest() {
	for e.lines.Scan() {
		e.said.WriteString(e.lines.Text() + "\n")
	}
}

// close goes away: nobody reads any more.
func (e *ending) close() {
	e.t.Helper()
	if err := e.read.Close(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *ending) signal(s syscall.Signal) {
	e.t.Helper()
	if err := e.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		e.t.Fatal(err)
	}
}

// code waits for the end and gives the exit code, -1 where a signal ended the process.
func (e *ending) code() int {
	e.t.Helper()
	if err := e.Wait(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			e.t.Fatal(err)
		}
	}
	return e.ProcessState.ExitCode()
}

// holding is the lesson's run that says "held" in the midst of saving a checkpoint, and waits there.
func holding(t *testing.T, l lesson) *exec.Cmd {
	cmd := program(t.Context(), l.args("train")...)
	cmd.Env = append(cmd.Env, holdRename+"="+filepath.Join(checkpointsDir, "step-000030"))
	return cmd
}

// startHeld runs the lesson until it waits in the midst of saving a checkpoint.
func startHeld(t *testing.T, l lesson) *ending {
	t.Helper()
	e := start(t, holding(t, l))
	e.until("held")
	return e
}

// released lets the save go on, and gives the exit code.
func (e *ending) released(l lesson) int {
	e.t.Helper()
	if err := os.WriteFile(filepath.Join(l.runDir(), release), nil, 0o644); err != nil {
		e.t.Fatal(err)
	}
	e.rest()
	return e.code()
}
