package wholedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func cannot(string, string) error { return errNoExchange }

// standing is dir with "old" in x, and a temporary directory beside it with "new" in x.
func standing(t *testing.T) (dir, tmp string) {
	t.Helper()
	parent := t.TempDir()
	dir, tmp = filepath.Join(parent, "out"), filepath.Join(parent, ".out.tmp-1")
	for d, text := range map[string]string{dir: "old", filepath.Join(tmp, freshName): "new"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := put("x", text)(d); err != nil {
			t.Fatal(err)
		}
	}
	return dir, tmp
}

func wantX(t *testing.T, dir, want string) {
	t.Helper()
	if b, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(b) != want {
		t.Errorf("%s holds %q (%v), want %q", dir, b, err, want)
	}
}

// Linux exchanges: at no moment is the place empty.
func TestExchange(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs renameat2")
	}
	dir, tmp := standing(t)
	if err := exchange(filepath.Join(tmp, freshName), dir); err != nil {
		t.Fatal(err)
	}
	wantX(t, dir, "new")
	wantX(t, filepath.Join(tmp, freshName), "old")
	if err := exchange(filepath.Join(tmp, freshName), dir+"2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("exchanged with nothing: %v", err)
	}
}

func TestReplaceWithoutExchange(t *testing.T) {
	dir, tmp := standing(t)
	if stranded, err := replace(dir, tmp, cannot); err != nil || stranded {
		t.Fatal(stranded, err)
	}
	wantX(t, dir, "new")
	dir, tmp = standing(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if stranded, err := replace(dir, tmp, cannot); err != nil || stranded {
		t.Fatal(stranded, err)
	}
	wantX(t, dir, "new")
}

// A fault other than that it cannot be done ends the write; the old directory stands.
func TestFailedExchangeLeavesTheOld(t *testing.T) {
	dir, tmp := standing(t)
	if stranded, err := replace(dir, tmp, func(string, string) error { return syscall.EIO }); !errors.Is(err, syscall.EIO) || stranded {
		t.Fatal(stranded, err)
	}
	wantX(t, dir, "old")
}

// When the new directory cannot be put into its place, the old one goes back there.
func TestFailedRenameGivesTheOldBack(t *testing.T) {
	dir, tmp := standing(t)
	if err := os.RemoveAll(filepath.Join(tmp, freshName)); err != nil {
		t.Fatal(err)
	}
	if stranded, err := replace(dir, tmp, cannot); err == nil || stranded {
		t.Fatal(stranded, err)
	}
	wantX(t, dir, "old")
}

// Killed between the two renames, the old directory is in the temporary one: Sweep gives it back.
func TestSweepGivesTheOldBack(t *testing.T) {
	dir, tmp := standing(t)
	if err := os.Rename(dir, filepath.Join(tmp, oldName)); err != nil {
		t.Fatal(err)
	}
	parent := filepath.Dir(dir)
	if err := Sweep(parent, "other"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tmp); err != nil {
		t.Errorf("swept what another name left: %v", err)
	}
	if err := Sweep(parent, "o"); err != nil {
		t.Fatal(err)
	}
	wantX(t, dir, "old")
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// Where the new directory is in its place, the old one is not wanted any more.
func TestSweepKeepsTheNew(t *testing.T) {
	dir, tmp := standing(t)
	if err := os.Rename(dir, filepath.Join(tmp, oldName)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(tmp, freshName), dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".hidden", "out.tmp-1"} { // not ours
		if err := put(name, "")(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(filepath.Dir(dir), ""); err != nil {
		t.Fatal(err)
	}
	wantX(t, dir, "new")
	left, _ := os.ReadDir(filepath.Dir(dir))
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if strings.Join(names, " ") != ".hidden out out.tmp-1" {
		t.Errorf("left: %v", names)
	}
	if err := Sweep(filepath.Join(dir, "absent"), ""); err != nil {
		t.Error(err)
	}
}
