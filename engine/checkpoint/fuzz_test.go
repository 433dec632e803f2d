package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

// putFiles writes files into a directory; unlike Save it waits for no disk.
func putFiles(t testing.TB, dir string, files map[string][]byte) {
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
// it, or is refused in words; nothing torn is used. Where rehash is set SHA256SUMS are made for the other files, so that
// what lies behind the hashes is reached.
func FuzzOpen(f *testing.F) {
	s := store(f)
	put(f, s, 1, 2)
	before, saved := contents(f, s.Dir(1)), contents(f, s.Dir(2))
	state := string(saved[stateName])
	old := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata/format-1/run/checkpoints/step-000003", name))
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	for _, x := range []string{
		state, state[:len(state)/2], "", "{}", "null", "[]", `{"format":1}`, `{"format":99}`, `{"format":1,"files":{}}`, `{"format":1,"files":null,"step":-1}`,
		`{"format":2,"step":2,"random":{"order":1,"dropout":1}}`, `{"format":2,"step":2,"guard":{"losses":[1e400]}}`,
		strings.Replace(state, `"step": 2`, `"step": 200`, 1), strings.Replace(state, `"format": 2`, `"format": 3`, 1), strings.Repeat("[", 1000),
	} {
		f.Add([]byte(x), saved[sumsName], saved[weightsName], saved[optimizerName], false)
		f.Add([]byte(x), saved[sumsName], saved[weightsName], saved[optimizerName], true)
	}
	f.Add(saved[stateName], saved[sumsName], saved[weightsName][:20], saved[optimizerName], true)
	f.Add(saved[stateName], saved[sumsName], saved[optimizerName], saved[weightsName], false)
	f.Add(saved[stateName], bytes.ReplaceAll(saved[sumsName], []byte("  "), []byte(" *")), saved[weightsName], saved[optimizerName], false)
	f.Add(saved[stateName], bytes.Repeat(saved[sumsName], 30), saved[weightsName], saved[optimizerName], false)
	f.Add(bytes.Replace(old(stateName), []byte(`"step": 3`), []byte(`"step": 2`), 1), []byte(nil), old(weightsName), old(optimizerName), false)
	f.Fuzz(func(t *testing.T, state, sumsText, weights, optimizer []byte, rehash bool) {
		s := &Store{FS: s.FS, Root: t.TempDir()}
		files := map[string][]byte{stateName: state, sumsName: sumsText, weightsName: weights, optimizerName: optimizer}
		if rehash {
			files[sumsName] = sums{stateName: hashOf(state), weightsName: hashOf(weights), optimizerName: hashOf(optimizer)}.text()
		}
		putFiles(t, s.Dir(1), before)
		putFiles(t, s.Dir(2), files)
		c, skipped, err := s.Latest()
		if err != nil {
			if errors.Is(err, ErrCorrupt) || len(err.Error()) > 8<<10 {
				t.Fatalf("the checkpoint before a damaged one is not used: %v", err)
			}
			return // of another format, say
		}
		defer c.Close()
		if c.Step == 1 {
			if len(skipped) != 1 || !errors.Is(skipped[0], ErrCorrupt) || len(skipped[0].Error()) > 8<<10 {
				t.Fatalf("passed over: %v", skipped)
			}
			return
		}
		all, err := parseSums(files[sumsName])
		if c.Format == 1 {
			_, all, err = decodeState(state, 2)
		} else if all[stateName] != hashOf(state) {
			t.Fatal("a state that SHA256SUMS does not name is used")
		}
		if err != nil || all[weightsName] != hashOf(weights) || all[optimizerName] != hashOf(optimizer) {
			t.Fatalf("tensors that are not those of the state are used: %v", err)
		}
		if c.Step != 2 || c.Updates < 0 || c.Updates > 2 {
			t.Fatalf("%+v", c.State)
		}
		for _, x := range c.Weights.Tensors() {
			if int64(len(c.Weights.Data(x.Name))) != x.Bytes {
				t.Fatalf("%+v", x)
			}
		}
	})
}
