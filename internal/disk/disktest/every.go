package disktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"

	"attune/internal/disk"
)

// ErrBroken is what operations say that Every makes fail.
var ErrBroken = errors.New("the disk is broken")

// Every tries something with each of its operations in turn going wrong in each way there is, on a disk of its own.
type Every struct {
	Disk   func(*os.Root) disk.FS                   // nil = disk.In
	Before func(disk.FS) error                      // what is there already; nil = nothing
	Do     func(disk.FS) error                      // what is tried
	Look   func(t *testing.T, d disk.FS, done bool) // what must hold then, on a disk without faults; done: Do said so
}

// Run runs it.
func (e Every) Run(t *testing.T) {
	open := e.Disk
	if open == nil {
		open = disk.In
	}
	begin := func(t *testing.T) (disk.FS, *Faults) {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = root.Close() })
		d := open(root)
		if e.Before != nil {
			if err := e.Before(New(d)); err != nil { // New: nobody waits for a disk
				t.Fatal(err)
			}
		}
		return d, New(d)
	}
	var ops []Op
	for name, then := range map[string]func(*Faults) error{
		"nothing fails": func(*Faults) error { return nil }, "power cut behind it": (*Faults).PowerCut, "power cut late behind it": (*Faults).PowerCutLate,
	} {
		t.Run(name, func(t *testing.T) {
			d, f := begin(t)
			if err := errors.Join(e.Do(f), then(f)); err != nil {
				t.Fatal(err)
			}
			e.Look(t, d, true)
			ops = f.Ops()
		})
	}
	for i, op := range ops {
		for _, end := range []struct {
			name string
			mode Mode
			then func(*Faults) error
		}{
			{"fails", Fail(ErrBroken), nil},
			{"is half done", Short(ErrBroken), nil},
			{"is the last", Die(), nil},
			{"is the last, power cut", Die(), (*Faults).PowerCut},
			{"is the last, power cut late", Die(), (*Faults).PowerCutLate},
		} {
			t.Run(fmt.Sprintf("%d %s %s", i, op.Kind, end.name), func(t *testing.T) {
				d, f := begin(t)
				f.At(i, end.mode)
				err := e.Do(f)
				if end.then != nil {
					if err := end.then(f); err != nil {
						t.Fatal(err)
					}
				}
				e.Look(t, d, err == nil)
				if t.Failed() {
					t.Logf("at %v it said: %v", op, err)
				}
			})
		}
	}
}

// Files is the text of every file under a directory; nil = there is no such directory.
func Files(t *testing.T, d disk.FS, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var walk func(name, as string) error
	walk = func(name, as string) error {
		entries, err := d.ReadDir(name)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() {
				if err := walk(join(name, e.Name()), as+e.Name()+"/"); err != nil {
					return err
				}
				continue
			}
			f, err := d.OpenFile(join(name, e.Name()), os.O_RDONLY, 0)
			if err != nil {
				return err
			}
			b, err := io.ReadAll(f)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			all[as+e.Name()] = string(b)
		}
		return nil
	}
	if err := walk(dir, ""); errors.Is(err, fs.ErrNotExist) && len(all) == 0 {
		return nil
	} else if err != nil {
		t.Error(err)
	}
	return all
}
