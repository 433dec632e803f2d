package wholedir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"attune/internal/disk"
)

// exchanging is a disk on which exchanging two directories ends so.
type exchanging struct {
	disk.FS
	err error
}

func (e exchanging) Exchange(string, string) error { return e.err }

var cannot = exchanging{disk.OS(), errors.ErrUnsupported}

// standing is dir with "old" in x, and a temporary directory beside it with "new" in x.
func standing(t *testing.T) (dir, tmp string) {
	t.Helper()
	parent := t.TempDir()
	dir, tmp = filepath.Join(parent, "out"), filepath.Join(parent, ".out.tmp-1")
	for d, text := range map[string]string{dir: "old", filepath.Join(tmp, freshName): "new"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "x"), []byte(text), 0o600); err != nil {
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

func TestReplaceWithoutExchange(t *testing.T) {
	dir, tmp := standing(t)
	if stranded, err := replace(cannot, dir, tmp); err != nil || stranded {
		t.Fatal(stranded, err)
	}
	wantX(t, dir, "new")
	dir, tmp = standing(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if stranded, err := replace(cannot, dir, tmp); err != nil || stranded {
		t.Fatal(stranded, err)
	}
	wantX(t, dir, "new")
}

// A fault other than that it cannot be done ends the write; the old directory stands.
func TestFailedExchangeLeavesTheOld(t *testing.T) {
	dir, tmp := standing(t)
	if stranded, err := replace(exchanging{disk.OS(), syscall.EIO}, dir, tmp); !errors.Is(err, syscall.EIO) || stranded {
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
	if stranded, err := replace(cannot, dir, tmp); err == nil || stranded {
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
	if err := Sweep(disk.OS(), parent, "other"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tmp); err != nil {
		t.Errorf("swept what another name left: %v", err)
	}
	if err := Sweep(disk.OS(), parent, "o"); err != nil {
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
	for _, name := range []string{".hidden", "out.tmp-1", ".file.tmp-1-2"} { // the last by disk.Create
		if err := os.WriteFile(filepath.Join(filepath.Dir(dir), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(disk.OS(), filepath.Dir(dir), ""); err != nil {
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
	if err := Sweep(disk.OS(), filepath.Join(dir, "absent"), ""); err != nil {
		t.Error(err)
	}
}
