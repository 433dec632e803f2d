package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// While the new file is written, the old one stands whole beside it; what fails leaves it so, and nothing else.
func TestCreate(t *testing.T) {
	both(t, func(t *testing.T, d FS, at func(string) string) {
		name := at("new/dir/x")
		put(t, d, name, "old")
		boom := errors.New("boom")
		err := Create(d, name, func(w io.Writer) error {
			if _, err := io.WriteString(w, "half"); err != nil {
				return err
			}
			wantText(t, d, name, "old")
			list := strings.Fields(names(t, d, at("new/dir")))
			if len(list) != 2 {
				t.Fatalf("while writing there is %v", list)
			}
			if of, ok := IsTemp(list[0]); !ok || of != "x" {
				t.Errorf("%s is not known as what x is written to", list[0])
			}
			return boom
		})
		if !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "write "+d.Path(name)+": ") {
			t.Error(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = Create(d, name, func(io.Writer) error { panic("boom") })
		}()
		wantText(t, d, name, "old")
		put(t, d, name, "new")
		wantText(t, d, name, "new")
		if got := names(t, d, at("new/dir")); got != "x" {
			t.Errorf("left: %s", got)
		}
		if st, err := d.Lstat(name); err != nil || st.Mode().Perm() != 0o644 {
			t.Errorf("mode %v (%v); others could not read it", st.Mode(), err)
		}
		if err := os.Chmod(d.Path(name), 0o600); err != nil {
			t.Fatal(err)
		}
		put(t, d, name, "private")
		if st, err := d.Lstat(name); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("mode %v (%v); it was 0600", st.Mode(), err)
		}
		if err := WriteFile(d, at("new/dir"), nil); err == nil {
			t.Error("a file took the place of a directory")
		}
		if err := WriteFile(d, at("new/missing/y"), nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("in a directory that is not there: %v", err)
		}
		if err := WriteFile(d, at("new/dir/x/y"), nil); err == nil {
			t.Error("a file was made under a file")
		}
		if got := names(t, d, at("new")); got != "dir" {
			t.Errorf("left: %s", got)
		}
	})
}

// A name that is taken, by what a process of the same number left, is passed by.
func TestTempNamesThatAreTaken(t *testing.T) {
	tries, dir := 0, t.TempDir()
	temp, err := Temp(filepath.Join(dir, "x"), func(temp string) error {
		if tries++; tries < 5 {
			return &fs.PathError{Op: "open", Path: temp, Err: fs.ErrExist}
		}
		return nil
	})
	if err != nil || tries != 5 || filepath.Dir(temp) != dir {
		t.Error(temp, tries, err)
	}
	if _, err := Temp("x", func(string) error { return os.ErrExist }); err == nil || !strings.Contains(err.Error(), ".x.tmp-") {
		t.Error(err)
	}
}

func TestIsTemp(t *testing.T) {
	for name, want := range map[string]string{
		".x.tmp-12-3": "x", ".a.tmp-b.tmp-1": "a.tmp-b", "x.tmp-1": "", ".x": "", "": "", ".tmp-1": "", ".lock": "", ".x.tmp-mine": "", ".x.tmp-1.bak": "", "..tmp-1": "", ".x.tmp": "",
	} {
		if got, ok := IsTemp(name); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
}
