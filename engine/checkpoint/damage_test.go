package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"attune/internal/disk"
	"attune/internal/hostiletest"
)

// Whatever byte of whatever file of the newest checkpoint is flipped, wherever a file is cut, and whichever is missing:
// the one before it is used, and that is said.
func TestEveryDamageIsFound(t *testing.T) {
	s := store(t)
	put(t, s, 1, 2)
	files := contents(t, s.Dir(2))
	if len(files) != 4 {
		t.Fatalf("%d files", len(files))
	}
	for name, whole := range files {
		path := filepath.Join(s.Dir(2), name)
		passedOver := func(how string) {
			t.Helper()
			if step, skipped := latest(t, s); step != 1 || skipped != 1 {
				t.Fatalf("%s %s: step %d is used, %d passed over", name, how, step, skipped)
			}
		}
		for i := range whole {
			b := append([]byte(nil), whole...)
			b[i] ^= 1 << (i % 8)
			overwrite(t, path, b)
			passedOver(fmt.Sprintf("with a bit of byte %d flipped", i))
			overwrite(t, path, whole[:i])
			passedOver(fmt.Sprintf("cut to %d bytes", i))
		}
		overwrite(t, path, append(append([]byte(nil), whole...), 0))
		passedOver("with a byte more")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		passedOver("missing")
		overwrite(t, path, whole)
		if step, _ := latest(t, s); step != 2 {
			t.Fatalf("%s mended: step %d is used", name, step)
		}
	}
}

// SHA256SUMS names each file of a checkpoint once, and no other.
func TestSumsNameEveryFile(t *testing.T) {
	s := store(t)
	put(t, s, 1, 2)
	path := filepath.Join(s.Dir(2), sumsName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseSums(whole)
	if err != nil {
		t.Fatal(err)
	}
	var turned []byte // the other way round is the same set
	for _, name := range []string{weightsName, stateName, optimizerName} {
		turned = fmt.Appendf(turned, "%s  %s\n", all[name], name)
	}
	overwrite(t, path, turned)
	if step, _ := latest(t, s); step != 2 {
		t.Error("the order of the lines matters")
	}
	for how, b := range map[string][]byte{
		"a name more":           fmt.Appendf(whole[:len(whole):len(whole)], "%s  notes.txt\n", all[stateName]),
		"a name that leads out": fmt.Appendf(whole[:len(whole):len(whole)], "%s  ../x\n", all[stateName]),
		"a name twice":          fmt.Appendf(whole[:len(whole):len(whole)], "%s  %s\n", all[stateName], stateName),
		"a name less":           fmt.Appendf(nil, "%s  %s\n%s  %s\n", all[stateName], stateName, all[weightsName], weightsName),
		"hashes exchanged":      fmt.Appendf(nil, "%s  %s\n%s  %s\n%s  %s\n", all[stateName], stateName, all[optimizerName], weightsName, all[weightsName], optimizerName),
		"nothing":               nil,
	} {
		overwrite(t, path, b)
		if step, skipped := latest(t, s); step != 1 || skipped != 1 {
			t.Errorf("%s: step %d is used, %d passed over", how, step, skipped)
		}
	}
}

// What is no file, or has no end, is no checkpoint's; the one before it is used.
func TestFilesAreRegular(t *testing.T) {
	for _, name := range []string{stateName, weightsName, optimizerName, sumsName} {
		for _, target := range []string{"pipe", "/dev/zero", "."} {
			s := store(t)
			put(t, s, 1, 2)
			hostiletest.Link(t, s.Dir(2), name, target)
			if step, skipped := latest(t, s); step != 1 || skipped != 1 {
				t.Errorf("%s is a link to %s: step %d is used, %d passed over", name, target, step, skipped)
			}
		}
	}
	for _, name := range []string{stateName, sumsName} {
		s := store(t)
		put(t, s, 1, 2)
		if err := os.Truncate(filepath.Join(s.Dir(2), name), 1<<40); err == nil {
			if step, _ := latest(t, s); step != 1 {
				t.Errorf("a %s of a terabyte: step %d is used", name, step)
			}
		}
	}
}

// Below a root, links that lead out of it are not followed: neither to read what is not the run's, nor to remove it. They
// are refused rather than passed over, since what they name may be whole.
func TestNothingOutside(t *testing.T) {
	outside := store(t)
	put(t, outside, 1, 2)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s := &Store{FS: disk.In(root), Root: "checkpoints", Keep: 1}
	put(t, s, 1, 2)
	if step, skipped := latest(t, fresh(s)); step != 2 || skipped != 0 {
		t.Fatalf("step %d is used, %d passed over", step, skipped)
	}
	if s.Dir(2) != filepath.Join(dir, "checkpoints", "step-000002") {
		t.Errorf("%s", s.Dir(2))
	}
	for _, name := range []string{stateName, weightsName, optimizerName, sumsName} {
		path := filepath.Join(s.Dir(2), name)
		if err := os.Rename(path, path+".kept"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(outside.Dir(2), name), path); err != nil {
			t.Fatal(err)
		}
		if c, _, err := fresh(s).Latest(); c != nil || !errors.Is(err, disk.ErrOutside) || errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		if err := os.Rename(path+".kept", path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside.Dir(1), s.Dir(3)); err != nil {
		t.Fatal(err)
	}
	if err := s.prune(9); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside.Root, filepath.Join(dir, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	if c, _, err := fresh(s).Latest(); c != nil || !errors.Is(err, disk.ErrOutside) {
		t.Errorf("checkpoints is a link: %v, %v", c, err)
	}
	if err := save(s, stateOf(3), tensors(3), tensors(9)); !errors.Is(err, disk.ErrOutside) {
		t.Errorf("saved through a link: %v", err)
	}
	if err := s.prune(9); !errors.Is(err, disk.ErrOutside) {
		t.Errorf("pruned through a link: %v", err)
	}
	if got := names(t, outside); got != "step-000001 step-000002" {
		t.Errorf("outside there is %s", got)
	}
	if step, skipped := latest(t, outside); step != 2 || skipped != 0 {
		t.Errorf("outside step %d is whole, %d passed over", step, skipped)
	}
}
