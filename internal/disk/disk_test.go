package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"attune/internal/smallfile"
)

// both runs a test on the system's files and on those below a root; at makes of a name one of that FS.
func both(t *testing.T, test func(t *testing.T, d FS, at func(string) string)) {
	t.Run("OS", func(t *testing.T) {
		dir := t.TempDir()
		test(t, OS(), func(name string) string { return filepath.Join(dir, name) })
	})
	t.Run("In", func(t *testing.T) {
		test(t, rooted(t, t.TempDir()), func(name string) string { return name })
	})
}

func rooted(t *testing.T, dir string) FS {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return In(root)
}

func put(t *testing.T, d FS, name, text string) {
	t.Helper()
	err := MakeDir(d, filepath.Dir(name))
	if err == nil {
		err = WriteFile(d, name, []byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, d FS, name, want string) {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != want {
		t.Errorf("%s holds %q (%v), want %q", name, b, err, want)
	}
}

// names lists a directory, hidden names too.
func names(t *testing.T, d FS, dir string) string {
	t.Helper()
	entries, err := d.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestEveryOperation(t *testing.T) {
	both(t, func(t *testing.T, d FS, at func(string) string) {
		if err := errors.Join(d.MkdirAll(at("a/b/c"), 0o755), d.Mkdir(at("d"), 0o755)); err != nil {
			t.Fatal(err)
		}
		if err := d.Mkdir(at("d"), 0o755); !errors.Is(err, fs.ErrExist) {
			t.Errorf("made twice: %v", err)
		}
		f, err := d.OpenFile(at("a/x"), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, "0123456789"); err != nil {
			t.Fatal(err)
		}
		part := make([]byte, 3)
		if _, err := f.ReadAt(part, 2); err != nil || string(part) != "234" {
			t.Errorf("%q, %v", part, err)
		}
		if err := errors.Join(f.Truncate(4), f.Sync(), f.Close(), d.SyncDir(at("a")), d.Rename(at("a/x"), at("d/y"))); err != nil {
			t.Fatal(err)
		}
		wantText(t, d, at("d/y"), "0123")
		if st, err := d.Lstat(at("d/y")); err != nil || st.Size() != 4 {
			t.Error(st, err)
		}
		if st, err := os.Stat(d.Path(at("d/y"))); err != nil || st.Size() != 4 {
			t.Errorf("Path says %s: %v", d.Path(at("d/y")), err)
		}
		if got := names(t, d, at("")); got != "a d" {
			t.Errorf("there is %s", got)
		}
		if err := d.Remove(at("d")); err == nil {
			t.Error("a full directory was removed")
		}
		if err := errors.Join(d.Remove(at("d/y")), d.Remove(at("d")), d.RemoveAll(at("a")), d.RemoveAll(at("never"))); err != nil {
			t.Fatal(err)
		}
		if got := names(t, d, at("")); got != "" {
			t.Errorf("there is %s still", got)
		}
		for op, err := range map[string]error{
			"open": errOf(d.OpenFile(at("no"), os.O_RDONLY, 0)), "rename": d.Rename(at("no"), at("x")), "remove": d.Remove(at("no")),
			"syncdir": d.SyncDir(at("no")), "readdir": errOf(d.ReadDir(at("no"))), "lstat": errOf(d.Lstat(at("no"))), "mkdir": d.Mkdir(at("no/x"), 0o755),
		} {
			if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), d.Path(at("no"))) {
				t.Errorf("%s: %v", op, err)
			}
		}
	})
}

// A directory that may be written and not read takes files as it ever did.
func TestDirectoryThatCannotBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := filepath.Join(t.TempDir(), "drop")
	if err := os.Mkdir(dir, 0o300); err != nil {
		t.Fatal(err)
	}
	put(t, OS(), filepath.Join(dir, "x"), "1")
	wantText(t, OS(), filepath.Join(dir, "x"), "1")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func errOf(_ any, err error) error { return err }

// Linux exchanges: at no moment is one of the names gone.
func TestExchange(t *testing.T) {
	both(t, func(t *testing.T, d FS, at func(string) string) {
		put(t, d, at("one/x"), "1")
		put(t, d, at("deep/two/x"), "2")
		err := d.Exchange(at("one"), at("deep/two"))
		if runtime.GOOS != "linux" {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Error(err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, d, at("one/x"), "2")
		wantText(t, d, at("deep/two/x"), "1")
		for _, pair := range [][2]string{{"one", "no"}, {"no", "one"}, {"no/x", "one"}, {"one", "no/x"}} {
			if err := d.Exchange(at(pair[0]), at(pair[1])); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v exchanged: %v", pair, err)
			}
		}
	})
}

// No name below a root reaches what lies outside it, by whatever link it goes; what is outside stays as it was.
func TestNothingLeadsOut(t *testing.T) {
	parent := t.TempDir()
	outside := filepath.Join(parent, "outside")
	inside := filepath.Join(parent, "inside")
	d := OS()
	put(t, d, filepath.Join(outside, "file"), "theirs")
	put(t, d, filepath.Join(outside, "dir", "x"), "theirs")
	put(t, d, filepath.Join(inside, "mine"), "mine")
	for link, target := range map[string]string{
		"absolute": filepath.Join(outside, "file"), "relative": "../outside/file", "fresh": "../outside/new", "dir": "../outside", "up": "..", "chain": "dir/dir",
		"in": "mine",
	} {
		if err := os.Symlink(target, filepath.Join(inside, link)); err != nil {
			t.Fatal(err)
		}
	}
	in := rooted(t, inside)
	open := func(name string, flag int) error {
		f, err := in.OpenFile(name, flag, 0o644)
		if err == nil {
			_ = f.Close()
		}
		return err
	}
	for _, name := range []string{"absolute", "relative", "fresh", "dir/file", "dir/new", "up/outside/file", "chain/x", "../outside/file"} {
		for _, flag := range []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND | os.O_CREATE} {
			if err := open(name, flag); !errors.Is(err, ErrOutside) || !strings.Contains(err.Error(), filepath.Join(inside, name)) {
				t.Errorf("%s, flags %#x: %v", name, flag, err)
			}
		}
	}
	for op, err := range map[string]error{
		"create": WriteFile(in, "dir/new", nil), "make a directory": MakeDir(in, "dir/new/x"), "mkdir": in.Mkdir("dir/new", 0o755), "mkdirall": in.MkdirAll("up/outside/new", 0o755),
		"rename out": in.Rename("mine", "dir/mine"), "rename in": in.Rename("dir/file", "stolen"), "remove": in.Remove("dir/file"), "removeall": in.RemoveAll("chain/x"),
		"removeall of all": in.RemoveAll("../outside"), "readdir": errOf(in.ReadDir("dir")), "syncdir": in.SyncDir("up"), "lstat": errOf(in.Lstat("dir/file")),
		"exchange": in.Exchange("mine", "dir/file"), "exchange from": in.Exchange("dir/file", "mine"), "exchange with above": in.Exchange("mine", ".."), "exchange itself": in.Exchange(".", "mine"),
	} {
		if !errors.Is(err, ErrOutside) {
			t.Errorf("%s: %v", op, err)
		}
	}
	wantText(t, d, filepath.Join(outside, "file"), "theirs")
	wantText(t, d, filepath.Join(outside, "dir", "x"), "theirs")
	if got := names(t, d, outside); got != "dir file" {
		t.Errorf("outside there is %s", got)
	}
	wantText(t, in, "in", "mine") // a link that stays inside is followed
	put(t, in, "relative", "new") // the link gives way to the file
	put(t, in, "in", "other")
	wantText(t, in, "mine", "mine")
	if err := in.RemoveAll("dir"); err != nil { // the link, not where it leads
		t.Error(err)
	}
	wantText(t, d, filepath.Join(outside, "file"), "theirs")
}

// The directory that was opened is meant, not another that took its name.
func TestTheDirectoryThatWasOpened(t *testing.T) {
	parent := t.TempDir()
	here, away := filepath.Join(parent, "run"), filepath.Join(parent, "away")
	put(t, OS(), filepath.Join(here, "x"), "mine")
	in := rooted(t, here)
	if err := os.Rename(here, away); err != nil {
		t.Fatal(err)
	}
	put(t, OS(), filepath.Join(here, "x"), "of another")
	put(t, in, "x", "still mine")
	wantText(t, OS(), filepath.Join(here, "x"), "of another")
	wantText(t, OS(), filepath.Join(away, "x"), "still mine")
}

func TestOnlyRegularFiles(t *testing.T) {
	both(t, func(t *testing.T, d FS, at func(string) string) {
		if err := d.Mkdir(at("dir"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(d.Path(at("pipe")), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"dir", "pipe"} {
			for _, flag := range []int{os.O_RDONLY, os.O_WRONLY | os.O_APPEND | os.O_CREATE} {
				if _, err := d.OpenFile(at(name), flag, 0o644); !errors.Is(err, smallfile.ErrNotRegular) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}
