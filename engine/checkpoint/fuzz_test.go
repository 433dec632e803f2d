package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/hostiletest"
)

// contents are the files of a directory.
func contents(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// put writes files into a directory; unlike Save it waits for no disk.
func put(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzOpen: whatever the files of the newest checkpoint hold, it is what was written, or is passed over for the one before
// it, or is refused in words; nothing torn is used.
func FuzzOpen(f *testing.F) {
	root := f.TempDir()
	for step := 1; step <= 2; step++ {
		if _, err := Save(root, State{Step: step, Total: 9, Identity: map[string]string{"model": "abc"}}, tensors(byte(step)), tensors(9)); err != nil {
			f.Fatal(err)
		}
	}
	before, saved := contents(f, Dir(root, 1)), contents(f, Dir(root, 2))
	state := string(saved[stateName])
	for _, s := range []string{
		state, state[:len(state)/2], "", "{}", "null", "[]", `{"format":1}`, `{"format":99}`, `{"format":1,"files":{}}`, `{"format":1,"files":null,"step":-1}`,
		strings.Replace(state, `"step": 2`, `"step": 200`, 1), strings.Replace(state, "weights.safetensors", "../weights.safetensors", 1), strings.Repeat("[", 1000),
	} {
		f.Add([]byte(s), saved[weightsName], saved[optimizerName])
	}
	f.Add(saved[stateName], saved[weightsName][:20], saved[optimizerName])
	f.Add(saved[stateName], saved[optimizerName], saved[weightsName])
	f.Fuzz(func(t *testing.T, state, weights, optimizer []byte) {
		root := t.TempDir()
		put(t, Dir(root, 1), before)
		put(t, Dir(root, 2), saved) // whatever else a checkpoint has
		put(t, Dir(root, 2), map[string][]byte{stateName: state, weightsName: weights, optimizerName: optimizer})
		c, skipped, err := Latest(root)
		if err != nil {
			if errors.Is(err, ErrCorrupt) {
				t.Fatalf("the checkpoint before a damaged one is not used: %v", err)
			}
			return // of another format, say
		}
		defer c.Close()
		if c.Dir == Dir(root, 1) {
			if len(skipped) != 1 || !errors.Is(skipped[0], ErrCorrupt) || len(skipped[0].Error()) > 8<<10 {
				t.Fatalf("passed over: %v", skipped)
			}
			return
		}
		if !bytes.Equal(weights, saved[weightsName]) && bytes.Equal(state, saved[stateName]) {
			t.Fatal("weights that are not those of the state are used")
		}
		for _, x := range c.Weights.Tensors() {
			if int64(len(c.Weights.Data(x.Name))) != x.Bytes {
				t.Fatalf("%+v", x)
			}
		}
	})
}

// What is no file, or has no end, is no checkpoint's; the one before it is used.
func TestFilesAreRegular(t *testing.T) {
	for _, name := range []string{stateName, weightsName, optimizerName} {
		for _, target := range []string{"pipe", "/dev/zero", "."} {
			root := t.TempDir()
			save(t, root, 1)
			dir := save(t, root, 2)
			hostiletest.Link(t, dir, name, target)
			if step, skipped := latest(t, root); step != 1 || skipped != 1 {
				t.Errorf("%s is a link to %s: step %d is used, %d passed over", name, target, step, skipped)
			}
		}
	}
	root := t.TempDir()
	save(t, root, 1)
	if err := os.Truncate(filepath.Join(save(t, root, 2), stateName), 1<<40); err == nil {
		if step, _ := latest(t, root); step != 1 {
			t.Errorf("a state.json of a terabyte: step %d is used", step)
		}
	}
}
