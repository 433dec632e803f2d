package disktest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"attune/internal/disk"
)

// Env names the environment variable by which a test gives the disk of a child process a fault.
const Env = "ATTUNE_TEST_FAULT"

// FromEnv is open with the fault that Env asks for, for the TestMain of a program; open itself where it asks for none:
//
//	ops:FILE    each operation is written to FILE, a line each, before it is done: what there is to fail
//	fail:N      operation N, counted from 0, says EIO
//	short:N     the same after half of it
//	die:N       the process kills itself (SIGKILL) in the middle of operation N
//	cut:N       the same, and the power goes: PowerCut
//	late:N      the same with PowerCutLate
//	hold:N      operation N never ends
//	full:BYTES  so many bytes are free at the start
//
// The operations are those of the directory that is opened first; a second one has no faults.
func FromEnv(open func(*os.Root) disk.FS) (func(*os.Root) disk.FS, error) {
	spec := os.Getenv(Env)
	if spec == "" {
		return open, nil
	}
	kind, arg, _ := strings.Cut(spec, ":")
	n, err := strconv.ParseInt(arg, 10, 64)
	if kind != "ops" && err != nil {
		return nil, fmt.Errorf("%s=%s: %w", Env, spec, err)
	}
	var prepare func(f *Faults) error
	switch kind {
	case "ops":
		prepare = func(f *Faults) error {
			list, err := os.OpenFile(arg, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
			f.When(func(op Op) bool {
				fmt.Fprintln(list, op)
				return false
			}, Mode{})
			return err
		}
	case "fail":
		prepare = func(f *Faults) error { f.At(int(n), Fail(syscall.EIO)); return nil }
	case "short":
		prepare = func(f *Faults) error { f.At(int(n), Short(syscall.EIO)); return nil }
	case "hold":
		prepare = func(f *Faults) error { f.At(int(n), Hold(make(chan struct{}))); return nil }
	case "full":
		prepare = func(f *Faults) error { f.Full(n); return nil }
	case "die", "cut", "late":
		prepare = func(f *Faults) error {
			f.At(int(n), Die())
			f.onDie = func() { f.kill(kind) }
			return nil
		}
	default:
		return nil, fmt.Errorf("%s=%s: there are ops, fail, short, die, cut, late, hold, full", Env, spec)
	}
	first := true
	return func(root *os.Root) disk.FS {
		fs := open(root)
		if !first {
			return fs
		}
		first = false
		f := New(fs)
		if err := prepare(f); err != nil {
			panic(err) // a test's own mistake
		}
		return f
	}, nil
}

// kill ends this process, after the power's work where that goes, too.
func (f *Faults) kill(kind string) {
	var err error
	if kind != "die" {
		err = f.tree.cut(kind == "late")
	}
	if err != nil {
		panic(err)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}
