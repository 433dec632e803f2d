package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"attune/engine/exec"
	"attune/engine/session"

	"github.com/spf13/cobra"
)

// flagLine is a flag in a command's help: its name and what is said of it before a default.
var flagLine = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([\w-]+)(?: \w+)?(?:  +([^(\n]*).*)?$`)

// Every command and every flag says what it is for.
func TestFlagsAreExplained(t *testing.T) {
	flags := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s is not explained", c.CommandPath())
		}
		for _, m := range flagLine.FindAllStringSubmatch(c.Flags().FlagUsages(), -1) {
			flags++
			if len(strings.TrimSpace(m[2])) < 4 {
				t.Errorf("%s --%s is not explained: %q", c.CommandPath(), m[1], m[0])
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(streams{}))
	if flags < 50 {
		t.Errorf("only %d flags found", flags)
	}
}

func TestVersionFlag(t *testing.T) {
	if flag, command := wantCode(t, exitOK, nil, "--version").stdout, wantCode(t, exitOK, nil, "version").stdout; flag != command {
		t.Errorf("--version prints %q, version %q", flag, command)
	}
}

// silent is a device on a system that does not say what memory is free.
type silent struct{ exec.Backend }

func (silent) Name() string               { return "cpu silent" }
func (silent) MemoryFree() (int64, error) { return 0, errors.ErrUnsupported }

func TestDoctorWithoutFreeMemory(t *testing.T) {
	x, err := diagnose(&session.Device{Backend: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	if s := x.String(); !strings.Contains(s, "memory free  unknown\n") {
		t.Errorf("%s", s)
	}
	b, err := json.Marshal(x)
	if err != nil || strings.Contains(string(b), "memory_free") || !strings.Contains(string(b), "cpu silent") {
		t.Errorf("%s (%v)", b, err)
	}
}
