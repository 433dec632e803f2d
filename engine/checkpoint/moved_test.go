package checkpoint

import (
	"os"
	"path/filepath"
	"testing"

	"attune/internal/disk"
)

// A run whose directory was moved away, and whose place another run took, reads its own checkpoints: hashes and tensors of
// one directory.
func TestOpenInADirectoryThatWasMoved(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "run")
	begin := func(first byte) *Store {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = root.Close() })
		s := &Store{FS: disk.In(root), Root: "checkpoints", Keep: 1}
		if err := save(s, stateOf(1), tensors(first), tensors(first)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	mine := begin(7)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	begin(8)
	c, err := mine.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, x := range tensors(7) {
		if got := c.Weights.Data(x.Name); string(got) != string(x.Data) {
			t.Errorf("%s is %v, want %v: of the run that took the place", x.Name, got, x.Data)
		}
		if got := c.Optimizer.Data(x.Name); string(got) != string(x.Data) {
			t.Errorf("the optimizer's %s is %v, want %v", x.Name, got, x.Data)
		}
	}
}
