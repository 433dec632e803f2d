package disktest

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"attune/internal/disk"

	"pgregory.net/rapid"
)

// places are names of files and directories, some in others.
var places = []string{"a", "b", "c", "a/x", "a/y", "b/x", "b/y", "a/x/z", "b/x/z"}

// change does one random thing to the disk; most that cannot be done are refused and change nothing.
func change(t *rapid.T, f *Faults) {
	one := rapid.SampledFrom(places)
	name, to := one.Draw(t, "name"), one.Draw(t, "to")
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0, 1:
		_ = f.Mkdir(name, 0o755)
	case 2, 3:
		_ = put(f, name, rapid.StringMatching(`[a-z]{0,8}`).Draw(t, "text"))
	case 4:
		_ = add(f, name, rapid.StringMatching(`[a-z]{0,8}`).Draw(t, "text"))
	case 5:
		_ = truncate(f, name, rapid.Int64Range(0, 4).Draw(t, "size"))
	case 6:
		_ = f.Rename(name, to)
	case 7:
		_ = f.Exchange(name, to)
	case 8:
		_ = f.Remove(name)
	case 9:
		_ = f.RemoveAll(name)
	}
}

// syncAll syncs every file and directory there is.
func syncAll(t *rapid.T, f *Faults, dir string) {
	entries, err := f.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := join(dir, e.Name()); e.IsDir() {
			syncAll(t, f, name)
		} else if err := synced(f, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.SyncDir(dir); err != nil {
		t.Fatal(err)
	}
}

// The power takes nothing of what was synced, and all that was not: after any changes that were all synced, the disk is as it
// was then; those behind it that were not are undone in their names, or, late, kept in them.
func TestPowerCutOfAnyChanges(t *testing.T) {
	parent := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(parent, "")
		if err != nil {
			rt.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer root.Close()
		changes := func(f *Faults, label string) {
			for range rapid.IntRange(0, 12).Draw(rt, label) {
				change(rt, f)
			}
		}
		changes(New(disk.In(root)), "before")
		f := New(disk.In(root))
		changes(f, "synced")
		syncAll(rt, f, ".")
		then := everything(rt, dir)
		if rapid.Bool().Draw(rt, "more") {
			changes(f, "lost")
			last := everything(rt, dir)
			late := rapid.Bool().Draw(rt, "late")
			if err := f.cut(late); err != nil {
				rt.Fatal(err)
			}
			want := then
			if late {
				want = last
			}
			if got := everything(rt, dir); !slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))) {
				rt.Fatalf("late %v: after %q there was %q, and %q is left", late, then, last, got)
			}
			return
		}
		if err := f.cut(rapid.Bool().Draw(rt, "late")); err != nil {
			rt.Fatal(err)
		}
		if got := everything(rt, dir); !maps.Equal(then, got) {
			rt.Fatalf("all was synced, and %q became %q", then, got)
		}
	})
}

// everything is the text of each file, and "" for each directory, by its name.
func everything(t *rapid.T, dir string) map[string]string {
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			all[path+"/"] = ""
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
