package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/safetensors"
)

func tensors(x byte) []safetensors.Tensor {
	return []safetensors.Tensor{{Name: "w", Dtype: "F32", Shape: []int{2}, Data: bytes.Repeat([]byte{x}, 8)}}
}

func save(t *testing.T, root string, step int) string {
	t.Helper()
	loss := 0.5
	dir, err := Save(root, State{Step: step, Total: 9, BestLoss: &loss, Identity: map[string]string{"model": "abc"}}, tensors(byte(step)), tensors(9))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func latest(t *testing.T, root string) (step, skipped int) {
	t.Helper()
	c, bad, err := Latest(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range bad {
		if !errors.Is(e, ErrCorrupt) {
			t.Errorf("not marked as corrupt: %v", e)
		}
	}
	if c == nil {
		return 0, len(bad)
	}
	if got := c.Weights.Data("w"); !bytes.Equal(got, tensors(byte(c.Step))[0].Data) {
		t.Errorf("step %d holds %v", c.Step, got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return c.Step, len(bad)
}

func TestSaveAndReadBack(t *testing.T) {
	root := filepath.Join(t.TempDir(), "checkpoints")
	if step, _ := latest(t, root); step != 0 {
		t.Error("found a checkpoint where there is none")
	}
	save(t, root, 3)
	save(t, root, 12)
	save(t, root, 12)
	if step, _ := latest(t, root); step != 12 {
		t.Errorf("latest is %d", step)
	}
	c, err := Open(Dir(root, 3))
	if err != nil {
		t.Fatal(err)
	}
	if c.Identity["model"] != "abc" || *c.BestLoss != 0.5 || c.Total != 9 {
		t.Errorf("%+v", c.State)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever byte of the newest checkpoint is damaged, cut or missing, the one before it is used.
func TestDamageIsFound(t *testing.T) {
	for _, name := range []string{stateName, weightsName, optimizerName} {
		for what, damage := range map[string]func(path string, b []byte) error{
			"flipped": func(p string, b []byte) error { b[len(b)-1] ^= 1; return os.WriteFile(p, b, 0o644) },
			"cut":     func(p string, b []byte) error { return os.WriteFile(p, b[:len(b)/2], 0o644) },
			"empty":   func(p string, _ []byte) error { return os.WriteFile(p, nil, 0o644) },
			"missing": func(p string, _ []byte) error { return os.Remove(p) },
		} {
			if name == stateName && what == "flipped" {
				continue // its last byte is a newline
			}
			root := t.TempDir()
			save(t, root, 1)
			path := filepath.Join(save(t, root, 2), name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(path, b); err != nil {
				t.Fatal(err)
			}
			if step, skipped := latest(t, root); step != 1 || skipped != 1 {
				t.Errorf("%s %s: step %d used, %d passed over", name, what, step, skipped)
			}
		}
	}
}

func TestPruneKeepsNewestAndBest(t *testing.T) {
	root := t.TempDir()
	for s := 1; s <= 6; s++ {
		save(t, root, s)
	}
	if err := os.Mkdir(filepath.Join(root, ".step-000007.tmp-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Prune(root, 2, 3); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) != 3 || names[0] != "step-000003" || names[1] != "step-000005" || names[2] != "step-000006" {
		t.Errorf("left: %v", names)
	}
}

// A run is not started over because all its checkpoints are damaged: the error names each.
func TestAllDamagedIsAnError(t *testing.T) {
	root := t.TempDir()
	for s := 1; s <= 2; s++ {
		if err := os.Remove(filepath.Join(save(t, root, s), weightsName)); err != nil {
			t.Fatal(err)
		}
	}
	c, skipped, err := Latest(root)
	if c != nil || len(skipped) != 2 || !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%v, %v, %v", c, skipped, err)
	}
	for _, w := range []string{Dir(root, 1), Dir(root, 2), "start over"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in %v", w, err)
		}
	}
}

// What cannot be read is not damaged: an older checkpoint does not stand in for it.
func TestUnreadableIsNotDamaged(t *testing.T) {
	for _, name := range []string{stateName, weightsName, optimizerName} {
		root := t.TempDir()
		save(t, root, 1)
		path := filepath.Join(save(t, root, 2), name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, path); err != nil { // to itself: even root cannot open it
			t.Fatal(err)
		}
		c, _, err := Latest(root)
		if c != nil || err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

func TestOtherFormatsAreRefusedByName(t *testing.T) {
	dir := save(t, t.TempDir(), 1)
	path := filepath.Join(dir, stateName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(`"format": 1`), []byte(`"format": 99`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("format 99: %v", err)
	}
	save(t, filepath.Dir(dir), 0)
	if c, _, err := Latest(filepath.Dir(dir)); c != nil || err == nil || !strings.Contains(err.Error(), "format 99") {
		t.Errorf("format 99 was passed over: %v, %v", c, err)
	}
}
