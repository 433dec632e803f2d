package disktest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"attune/internal/disk"
)

// both runs a test on names below a root and on absolute ones.
func both(t *testing.T, test func(t *testing.T, f *Faults, at func(string) string)) {
	t.Run("In", func(t *testing.T) {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = root.Close() })
		test(t, New(disk.In(root)), filepath.Clean)
	})
	t.Run("OS", func(t *testing.T) {
		dir := t.TempDir()
		test(t, New(disk.OS()), func(name string) string { return filepath.Join(dir, name) })
	})
}

// put writes a file with no care for the power: nothing is synced.
func put(f disk.FS, name, text string) error {
	file, err := f.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, text)
	return errors.Join(err, file.Close())
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// want compares everything that is on the disk: "name=text" of files, "name/" of directories.
func want(t *testing.T, f *Faults, dir string, list ...string) {
	t.Helper()
	base := f.Path(dir)
	var got []string
	err := filepath.WalkDir(base, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == base {
			return err
		}
		name, err := filepath.Rel(base, path)
		if e.IsDir() {
			got = append(got, name+"/")
			return err
		}
		b, err := os.ReadFile(path)
		got = append(got, name+"="+string(b))
		return err
	})
	if err != nil || !slices.Equal(got, list) {
		t.Errorf("on the disk there is %q (%v), want %q", got, err, list)
	}
}

func TestOpsAreThoseThatChangeSomething(t *testing.T) {
	both(t, func(t *testing.T, f *Faults, at func(string) string) {
		must(t, disk.MakeDir(f, at("a/b")), disk.WriteFile(f, at("a/b/x"), []byte("text")), f.Rename(at("a/b/x"), at("a/y")), f.Exchange(at("a/y"), at("a/b")), f.RemoveAll(at("a/b")), f.Remove(at("a/y")))
		file, err := f.OpenFile(at("z"), os.O_CREATE|os.O_RDWR, 0o644)
		must(t, err)
		must(t, file.Truncate(3), file.Close())
		for range 2 { // opening what is there changes nothing
			if file, err = f.OpenFile(at("z"), os.O_CREATE|os.O_RDWR, 0o644); err == nil {
				err = file.Close()
			}
			must(t, err)
		}
		if _, err := f.Lstat(at("z")); err != nil {
			t.Error(err)
		}
		var kinds []string
		for _, op := range f.Ops() {
			kinds = append(kinds, op.Kind)
		}
		if got := strings.Join(kinds, " "); got != "mkdir mkdir syncdir syncdir create write sync rename syncdir rename exchange removeall remove create truncate" {
			t.Errorf("%v", f.Ops())
		}
	})
}

func TestFail(t *testing.T) {
	boom := errors.New("boom")
	both(t, func(t *testing.T, f *Faults, at func(string) string) {
		must(t, put(f, at("x"), "0123456789"), f.Mkdir(at("d"), 0o755))
		n := len(f.Ops())
		for i := range 8 {
			f.At(n+i, Fail(boom))
		}
		file, err := f.OpenFile(at("x"), os.O_RDWR, 0)
		must(t, err)
		_, werr := file.Write([]byte("zz"))
		for op, err := range map[string]error{
			"write": werr, "sync": file.Sync(), "truncate": file.Truncate(0), "rename": f.Rename(at("x"), at("y")), "remove": f.Remove(at("x")),
			"removeall": f.RemoveAll(at("d")), "mkdir": f.Mkdir(at("e"), 0o755), "syncdir": f.SyncDir(at("d")),
		} {
			if !errors.Is(err, boom) || !strings.Contains(err.Error(), f.Path(at(""))) {
				t.Errorf("%s: %v", op, err)
			}
		}
		want(t, f, at(""), "d/", "x=0123456789")
		must(t, file.Sync(), file.Close(), f.Rename(at("x"), at("y"))) // later ones go through
		f.When(func(op Op) bool { return op.Kind == "mkdir" }, Fail(boom))
		for range 3 {
			if err := f.MkdirAll(at("e/f"), 0o755); !errors.Is(err, boom) {
				t.Error(err)
			}
		}
		f.Heal()
		must(t, f.MkdirAll(at("e/f"), 0o755))
		want(t, f, at(""), "d/", "e/", "e/f/", "y=0123456789")
	})
}

func TestShort(t *testing.T) {
	both(t, func(t *testing.T, f *Faults, at func(string) string) {
		f.When(func(op Op) bool { return op.Kind == "write" || op.Kind == "removeall" }, Short(syscall.EIO))
		file, err := f.OpenFile(at("x"), os.O_CREATE|os.O_WRONLY, 0o644)
		must(t, err)
		if n, err := file.Write([]byte("0123456789")); n != 5 || !errors.Is(err, syscall.EIO) {
			t.Error(n, err)
		}
		must(t, file.Close(), f.MkdirAll(at("d/e"), 0o755))
		if err := f.RemoveAll(at("d")); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
		want(t, f, at(""), "d/", "x=01234")
	})
}

// Who is killed in the middle of a write cleans nothing up.
func TestDie(t *testing.T) {
	both(t, func(t *testing.T, f *Faults, at func(string) string) {
		f.When(func(op Op) bool { return op.Kind == "write" }, Die())
		if err := disk.WriteFile(f, at("x"), []byte("0123456789")); !errors.Is(err, ErrDied) || !f.Dead() {
			t.Fatal(err)
		}
		n := len(f.Ops())
		_, readErr := f.OpenFile(at("x"), os.O_RDONLY, 0)
		_, listErr := f.ReadDir(at(""))
		for _, err := range []error{f.Remove(at("x")), f.RemoveAll(at("x")), f.Mkdir(at("d"), 0o755), f.MkdirAll(at("d"), 0o755), readErr, listErr} {
			if !errors.Is(err, ErrDied) {
				t.Error(err)
			}
		}
		if len(f.Ops()) != n {
			t.Errorf("what the dead ask for is counted: %v", f.Ops()[n:])
		}
		left, err := os.ReadDir(f.Path(at("")))
		if err != nil || len(left) != 1 {
			t.Fatal(left, err)
		}
		if of, ok := disk.IsTemp(left[0].Name()); !ok || of != "x" {
			t.Errorf("left: %v", left)
		}
		if b, err := os.ReadFile(filepath.Join(f.Path(at("")), left[0].Name())); string(b) != "01234" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// While one operation waits, others are done.
func TestHold(t *testing.T) {
	both(t, func(t *testing.T, f *Faults, at func(string) string) {
		begun, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
		f.When(func(op Op) bool {
			if op.Kind != "sync" {
				return false
			}
			close(begun)
			return true
		}, Hold(release))
		go func() { done <- disk.WriteFile(f, at("x"), []byte("1")) }()
		<-begun
		must(t, put(f, at("y"), "2"))
		select {
		case err := <-done:
			t.Fatal("it did not wait", err)
		default:
		}
		close(release)
		must(t, <-done)
		want(t, f, at(""), "x=1", "y=2")
	})
}

func TestFull(t *testing.T) {
	both(t, func(t *testing.T, f *Faults, at func(string) string) {
		must(t, put(f, at("old"), "0123"), f.Mkdir(at("d"), 0o755), put(f, at("d/x"), "01"))
		f.Full(10)
		must(t, put(f, at("a"), "012345"))
		file, err := f.OpenFile(at("b"), os.O_CREATE|os.O_RDWR, 0o644)
		must(t, err)
		if n, err := file.Write([]byte("abcdefgh")); n != 4 || !errors.Is(err, syscall.ENOSPC) {
			t.Error(n, err)
		}
		if err := f.Mkdir(at("e"), 0o755); !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			t.Error(err)
		}
		if n, err := file.Write([]byte("ABCD")); n != 4 || err != nil { // over what is there
			t.Error(n, err)
		}
		must(t, f.Remove(at("old"))) // 4 free
		if n, err := file.Write([]byte("efghi")); n != 4 || !errors.Is(err, syscall.ENOSPC) {
			t.Error(n, err)
		}
		must(t, f.RemoveAll(at("d")), f.Mkdir(at("d"), 0o755), put(f, at("d/y"), "12")) // 2
		must(t, file.Truncate(7), file.Close(), put(f, at("c"), "1"))                   // 1
		must(t, f.Rename(at("d/y"), at("a")), put(f, at("e"), "123456"))                // a's 6
		if err := put(f, at("g"), "1"); !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
		must(t, put(f, at("e"), "654321")) // emptied first
		log, err := f.OpenFile(at("c"), os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		if n, err := log.Write([]byte("23")); n != 0 || !errors.Is(err, syscall.ENOSPC) {
			t.Error(n, err)
		}
		must(t, log.Close())
		f.Heal()
		must(t, put(f, at("g"), "0123456789"))
		want(t, f, at(""), "a=12", "b=ABCDefg", "c=1", "d/", "e=654321", "g=0123456789")
	})
}
