package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"attune/internal/disk"
)

// What was not synced is undone, bytes and names alike; what was is there.
func TestPowerCut(t *testing.T) {
	for _, tt := range []struct {
		name        string
		before      func(f *Faults, at func(string) string) error // synced by being there when the faults begin
		do          func(f *Faults, at func(string) string) error
		early, late []string
	}{
		{"a new file", nil, func(f *Faults, at func(string) string) error {
			return put(f, at("x"), "0123")
		}, nil, []string{"x="}},
		{"a name without its bytes", nil, func(f *Faults, at func(string) string) error {
			return errors.Join(put(f, at("x"), "0123"), f.SyncDir(at("")))
		}, []string{"x=01"}, []string{"x="}},
		{"bytes without their name", nil, func(f *Faults, at func(string) string) error {
			return errors.Join(put(f, at("x"), "0123"), synced(f, at("x")))
		}, nil, []string{"x=0123"}},
		{"both", nil, func(f *Faults, at func(string) string) error {
			return errors.Join(put(f, at("x"), "0123"), synced(f, at("x")), f.SyncDir(at("")))
		}, []string{"x=0123"}, []string{"x=0123"}},
		{"by Create", nil, func(f *Faults, at func(string) string) error {
			return put1("a/x", "0123")(f, at)
		}, []string{"a/", "a/x=0123"}, []string{"a/", "a/x=0123"}},
		{"a rename before the bytes are synced", put1("x", "old"), func(f *Faults, at func(string) string) error {
			return errors.Join(put(f, at("y"), "new!"), f.Rename(at("y"), at("x")))
		}, []string{"x=old"}, []string{"x="}},
		{"a rename that is not synced", put1("x", "old"), func(f *Faults, at func(string) string) error {
			return errors.Join(put(f, at("y"), "new!"), synced(f, at("y")), f.Rename(at("y"), at("x")))
		}, []string{"x=old"}, []string{"x=new!"}},
		{"growth", put1("x", "0123"), func(f *Faults, at func(string) string) error {
			return add(f, at("x"), "4567")
		}, []string{"x=012345"}, []string{"x=0123"}},
		{"growth that is synced, then some", put1("x", "0123"), func(f *Faults, at func(string) string) error {
			return errors.Join(add(f, at("x"), "4567"), synced(f, at("x")), add(f, at("x"), "89"))
		}, []string{"x=012345678"}, []string{"x=01234567"}},
		{"cut short", put1("x", "0123"), func(f *Faults, at func(string) string) error {
			return truncate(f, at("x"), 2)
		}, []string{"x=01"}, []string{"x=0123"}},
		{"cut short, then grown", put1("x", "0123"), func(f *Faults, at func(string) string) error {
			return errors.Join(truncate(f, at("x"), 2), add(f, at("x"), "ab"))
		}, []string{"x=01a"}, []string{"x=01"}},
		{"written over", put1("x", "0123"), func(f *Faults, at func(string) string) error {
			return put(f, at("x"), "abcd")
		}, []string{"x=ab"}, []string{"x="}},
		{"removed", put1("d/e/x", "0123"), func(f *Faults, at func(string) string) error {
			return f.RemoveAll(at("d"))
		}, []string{"d/", "d/e/", "d/e/x=0123"}, nil},
		{"removed and synced", put1("d/e/x", "0123"), func(f *Faults, at func(string) string) error {
			return errors.Join(f.RemoveAll(at("d")), f.SyncDir(at("")))
		}, nil, nil},
		{"removed and made again", put1("d/x", "0123"), func(f *Faults, at func(string) string) error {
			return errors.Join(f.RemoveAll(at("d")), f.Mkdir(at("d"), 0o755), put(f, at("d/y"), "ab"))
		}, []string{"d/", "d/x=0123"}, []string{"d/", "d/y="}},
		{"a directory moved", put1("d/x", "0123"), func(f *Faults, at func(string) string) error {
			return errors.Join(f.Rename(at("d"), at("e")), add(f, at("e/x"), "45"))
		}, []string{"d/", "d/x=01234"}, []string{"e/", "e/x=0123"}},
		{"directories exchanged", func(f *Faults, at func(string) string) error {
			return errors.Join(put1("d/x", "1")(f, at), put1("e/f/y", "2")(f, at))
		}, func(f *Faults, at func(string) string) error {
			return f.Exchange(at("d"), at("e/f"))
		}, []string{"d/", "d/x=1", "e/", "e/f/", "e/f/y=2"}, []string{"d/", "d/y=2", "e/", "e/f/", "e/f/x=1"}},
		{"exchanged and synced", func(f *Faults, at func(string) string) error {
			return errors.Join(put1("d/x", "1")(f, at), put1("e/y", "2")(f, at))
		}, func(f *Faults, at func(string) string) error {
			return errors.Join(f.Exchange(at("d"), at("e")), f.SyncDir(at("")))
		}, []string{"d/", "d/y=2", "e/", "e/x=1"}, []string{"d/", "d/y=2", "e/", "e/x=1"}},
		{"a directory whose own names are not synced", nil, func(f *Faults, at func(string) string) error {
			return errors.Join(f.Mkdir(at("d"), 0o755), put(f, at("d/x"), "1"), synced(f, at("d/x")), f.SyncDir(at("")))
		}, []string{"d/"}, []string{"d/", "d/x=1"}},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, late %v", tt.name, late), func(t *testing.T) {
				both(t, func(t *testing.T, f *Faults, at func(string) string) {
					beside := filepath.Join(f.Path(at("")), "z") // by others, and by f never
					must(t, os.WriteFile(beside, []byte("!"), 0o600))
					if tt.before != nil {
						must(t, tt.before(f, at))
						f = New(f.inner)
					}
					must(t, tt.do(f, at))
					list := append([]string{}, tt.early...)
					cut := f.PowerCut
					if late {
						list, cut = append([]string{}, tt.late...), f.PowerCutLate
					}
					must(t, cut())
					want(t, f, at(""), append(list, "z=!")...)
					if err := f.Mkdir(at("after"), 0o755); !errors.Is(err, ErrDied) {
						t.Errorf("after the power went: %v", err)
					}
				})
			})
		}
	}
}

func put1(name, text string) func(f *Faults, at func(string) string) error {
	return func(f *Faults, at func(string) string) error {
		return errors.Join(disk.MakeDir(f, filepath.Dir(at(name))), disk.WriteFile(f, at(name), []byte(text)))
	}
}

func edit(f disk.FS, name string, flag int, do func(disk.File) error) error {
	file, err := f.OpenFile(name, os.O_RDWR|flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(do(file), file.Close())
}

func synced(f disk.FS, name string) error {
	return edit(f, name, 0, func(file disk.File) error { return file.Sync() })
}

func add(f disk.FS, name, text string) error {
	return edit(f, name, os.O_APPEND, func(file disk.File) error {
		_, err := file.Write([]byte(text))
		return err
	})
}

func truncate(f disk.FS, name string, size int64) error {
	return edit(f, name, 0, func(file disk.File) error { return file.Truncate(size) })
}

// asChild in the environment makes the test binary a program that writes by the disk of FromEnv into that directory.
const asChild = "DISKTEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(asChild)
	if dir == "" {
		os.Exit(m.Run())
	}
	open, err := FromEnv(disk.In)
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(dir)
	}
	if err == nil {
		err = disk.WriteFile(open(root), "x", []byte("0123456789"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A child fails, and is killed, where its environment says.
func TestFromEnv(t *testing.T) {
	child := func(spec string) (left []string, stderr string, err error) {
		t.Helper()
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "x"), []byte("old"), 0o600))
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asChild+"="+dir, Env+"="+spec)
		var says bytes.Buffer
		cmd.Stderr = &says
		err = cmd.Run()
		entries, rerr := os.ReadDir(dir)
		must(t, rerr)
		for _, e := range entries {
			b, rerr := os.ReadFile(filepath.Join(dir, e.Name()))
			must(t, rerr)
			name := e.Name()
			if of, ok := disk.IsTemp(name); ok {
				name = "temp of " + of
			}
			left = append(left, name+"="+string(b))
		}
		return left, says.String(), err
	}
	list := filepath.Join(t.TempDir(), "ops")
	if left, says, err := child("ops:" + list); err != nil || strings.Join(left, " ") != "x=0123456789" {
		t.Fatal(left, says, err)
	}
	b, err := os.ReadFile(list)
	if lines := strings.Split(string(b), "\n"); err != nil || len(lines) != 6 || !strings.HasPrefix(lines[0], "create .x.tmp-") || lines[4] != "syncdir ." {
		t.Errorf("%q, %v", b, err)
	}
	for _, tt := range []struct{ spec, left, says string }{
		{"", "x=0123456789", ""},
		{"fail:1", "x=old", "input/output error"},
		{"short:1", "x=old", "input/output error"},
		{"full:4", "x=old", "no space left"},
		{"die:1", "temp of x=01234 x=old", "killed"},
		{"cut:1", "x=old", "killed"},
		{"late:1", "temp of x= x=old", "killed"},
		{"die:4", "x=0123456789", "killed"},
		{"cut:4", "x=old", "killed"},
		{"late:4", "x=0123456789", "killed"},
		{"tear:1", "x=old", "there are ops"},
		{"die:x", "x=old", "invalid syntax"},
	} {
		left, says, err := child(tt.spec)
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if strings.Join(left, " ") != tt.left || killed != (tt.says == "killed") || !killed && !strings.Contains(says, tt.says) || (err == nil) != (tt.says == "") {
			t.Errorf("%s: left %q, killed %v, says %q", tt.spec, left, killed, says)
		}
	}
}
